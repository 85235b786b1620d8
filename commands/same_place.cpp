#include "commands/same_place.hpp"

#include "lib/migrate/script_error.hpp"

namespace codops::commands {

std::string same_place(const GlobalOptions& given, const std::optional<std::string>& store, const std::optional<std::string>& url_variable) {
  std::string text;
  const auto say = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += std::string{" "} + name + " " + migrate::shell_word(value);
  };
  say("-C", given.project_dir);
  say("--config", given.config);
  for (const auto& setting : given.set) say("--set", setting);
  say("--store", store.value_or(""));
  say("--database-url-env", url_variable.value_or(""));
  return text;
}

}  // namespace codops::commands

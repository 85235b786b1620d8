#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/io/files.hpp"
#include "lib/migrate/create.hpp"

namespace codops::commands {

namespace {

class MigrateNew final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    parameters.positional("NAME", name_, "what it does: \"add cod fee\"");
    options_.declare_files(parameters);
  }

  Result run(Services& services) override {
    const auto environment = options_.environment(services);
    const auto folder = options_.folder(environment);
    const auto source = options_.source_to_add_to(services, environment);
    const bool first = !std::filesystem::exists(folder);
    std::string text;
    nlohmann::ordered_json names = nlohmann::ordered_json::array();
    for (const auto& file : migrate::new_migration(source.layout, source, name_, services.clock().now())) {
      const auto path = folder / file.path;
      const auto shown = options_.shown_folder(environment) + "/" + file.path;
      names.push_back(shown);
      text += fmt::format("  + {}\n", shown);
      if (services.options().dry_run) continue;
      // The repository's files have the caller's permissions, not those of codops' own.
      const auto mask = services.options().caller_umask;
      std::filesystem::create_directories(path.parent_path());
      const auto open_up = [&](const std::filesystem::path& made) { std::filesystem::permissions(made, static_cast<std::filesystem::perms>(0777 & ~mask)); };
      if (first) open_up(folder);
      if (path.parent_path() != folder) open_up(path.parent_path());
      io::write_file(path, file.content, 0666 & ~mask);
    }
    return {Exit::ok, text, nlohmann::ordered_json{{"files", names}}.dump()};
  }

 private:
  MigrateOptions options_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_migrate_new() { return std::make_unique<MigrateNew>(); }

}  // namespace codops::commands

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "commands/config.hpp"
#include "commands/services.hpp"
#include "lib/io/http_probe.hpp"
#include "lib/settings/schema.hpp"

namespace codops::commands {
namespace {

using settings::Origin;
using settings::Type;
using settings::Value;

class ConfigShow final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment; without it, what all of them share", false);
    parameters.options("--key", "KEY", keys_, "only this setting or section; may be repeated");
    parameters.flag("--origin", origin_, "says where each value comes from");
    parameters.flag("--all", all_, "built-in values too");
  }

  Result run(Services& services) override {
    const auto loaded = settings::Settings::load(services.settings_sources());
    loaded.require_valid();
    if (!environment_.empty()) loaded.require_known(environment_);
    for (const auto& key : keys_) require_key(key);
    const auto values = loaded.values(environment_);
    return {Exit::ok, text(values), json(values, loaded.project())};
  }

 private:
  static void require_key(const std::string& key) {
    if (!settings::pattern_of(key).empty()) return;
    std::vector<std::string> known;
    for (const auto& row : settings::schema()) known.emplace_back(row.path);
    const auto near = nearest(key, known);
    throw Failure{Exit::usage, fmt::format("unknown key \"{}\"", key),
                  near.empty() ? std::string{} : fmt::format("did you mean \"{}\"?", near)};
  }

  bool is_wanted(const std::string& path, const Value& value) const {
    if (keys_.empty()) return all_ || value.origin.kind != Origin::Kind::built_in;
    return std::any_of(keys_.begin(), keys_.end(), [&](const std::string& key) {
      return path == key || path.starts_with(key + ".") || path.starts_with(key + "[");
    });
  }

  // "health.checks.site.headers.Authorization"
  static bool is_secret_header(const std::string& path) {
    constexpr std::string_view headers = ".headers.";
    const auto at = path.find(headers);
    return path.starts_with("health.") && at != std::string::npos && io::names_a_secret(path.substr(at + headers.size()));
  }

  // One address as a whole, or what was meant for one: a quote or a blank in its password ends nothing.
  static bool is_address(const std::string& path, const std::string& word) {
    const auto scheme = word.substr(0, word.find("://"));
    if (scheme.size() < word.size() && scheme.find_first_of(" \t'\"=") == std::string::npos) return true;
    const auto name = path.substr(path.rfind('.') + 1);
    constexpr std::array<std::string_view, 8> addresses{"url", "tcp", "tls", "postgres", "redis", "resolve", "host", "endpoint"};
    return std::find(addresses.begin(), addresses.end(), name) != addresses.end();
  }

  // Never a secret's value.
  static std::vector<std::string> shown(const std::string& path, const Value& value) {
    const auto* key = settings::find_key(path);
    auto words = value.words;
    const bool secret = (key != nullptr && key->type == Type::secret) || is_secret_header(path);
    for (auto& word : words) word = secret ? std::string{Secret::shown} : is_address(path, word) ? io::shown_url(word) : io::shown_text(word);
    return words;
  }

  std::string text(const settings::Values& values) const {
    std::size_t path_width = 0, value_width = 0;
    struct Row {
      std::string path, value, origin;
    };
    std::vector<Row> rows;
    for (const auto& [path, value] : values.all()) {
      if (!is_wanted(path, value)) continue;
      const auto words = shown(path, value);
      rows.push_back({path, value.is_list ? fmt::format("[{}]", fmt::join(words, ", ")) : fmt::format("{}", fmt::join(words, "")),
                      describe(value.origin)});
      path_width = std::max(path_width, rows.back().path.size());
      value_width = std::max(value_width, rows.back().value.size());
    }
    if (rows.empty()) return "every value is built in: codops config show --all\n";
    std::string out;
    for (const auto& row : rows) {
      if (origin_) out += fmt::format("{:<{}}  {:<{}}  {}\n", row.path, path_width, row.value, std::min<std::size_t>(value_width, 40), row.origin);
      else out += fmt::format("{:<{}}  {}\n", row.path, path_width, row.value);
    }
    return out;
  }

  std::string json(const settings::Values& values, const settings::Project& project) const {
    nlohmann::ordered_json document;
    document["project"] = project.name;
    document["directory"] = project.directory.string();
    if (environment_.empty()) document["environments"] = project.environments;
    else document["environment"] = environment_;
    auto& all = document["values"] = nlohmann::ordered_json::object();
    for (const auto& [path, value] : values.all()) {
      // A program wants them all.
      if (!keys_.empty() && !is_wanted(path, value)) continue;
      auto& entry = all[path];
      const auto words = shown(path, value);
      if (value.is_list) entry["value"] = words;
      else entry["value"] = words.empty() ? std::string{} : words.back();
      entry["origin"] = describe(value.origin);
    }
    return document.dump();
  }

  std::string environment_;
  std::vector<std::string> keys_;
  bool origin_{}, all_{};
};

}  // namespace

std::unique_ptr<Command> make_config_show() { return make_command<ConfigShow>(); }

}  // namespace codops::commands

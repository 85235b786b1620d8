#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands/config.hpp"
#include "commands/services.hpp"
#include "lib/io/http_probe.hpp"

namespace codops::commands {
namespace {

using settings::Problem;

class ConfigCheck final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positionals("ENV", environments_, "environments to check; without any, all of them");
  }

  Result run(Services& services) override {
    const auto loaded = settings::Settings::load(services.settings_sources());
    for (const auto& name : environments_) loaded.require_known(name);
    const auto& names = environments_.empty() ? loaded.project().environments : environments_;
    std::vector<Problem> problems;
    for (auto problem : loaded.problems()) add(problems, std::move(problem));
    for (const auto& name : names) {
      for (auto& problem : loaded.problems_of(name)) add(problems, std::move(problem));
      check_manifests(loaded, name, problems);
    }
    return {problems.empty() ? Exit::ok : Exit::config, text(problems, loaded, names), json(problems, loaded, names)};
  }

 private:
  // What all environments share is wrong in each of them, and said once.
  static void add(std::vector<Problem>& problems, Problem problem) {
    problem.message = io::shown_text(problem.message);
    const auto same = [&](const Problem& other) {
      return other.at == problem.at && other.message == problem.message;
    };
    if (std::none_of(problems.begin(), problems.end(), same)) problems.push_back(std::move(problem));
  }

  static void check_manifests(const settings::Settings& loaded, const std::string& name, std::vector<Problem>& problems) {
    if (!problems.empty()) return;
    const auto environment = loaded.environment(name);
    const auto values = loaded.values(name);
    const auto* value = values.find("kubernetes.manifests");
    const bool written = value != nullptr && value->origin.kind != settings::Origin::Kind::built_in && value->origin.kind != settings::Origin::Kind::convention;
    if (!written && environment.engine != settings::Engine::kubernetes) return;
    std::error_code ignored;
    if (std::filesystem::exists(environment.kubernetes.manifests, ignored)) return;
    add(problems, {value != nullptr ? value->origin : settings::Origin{}, fmt::format("there are no manifests at \"{}\"", environment.kubernetes.manifests), "kubernetes.manifests names a folder or a kustomization"});
  }

  // The project's own word where all of them agree: as the environments' objects are named.
  static std::string project_of(const settings::Settings& loaded, const std::vector<std::string>& names) {
    std::string project;
    for (const auto& name : names) {
      const auto own = loaded.environment(name).project;
      if (own.empty() || (!project.empty() && own != project)) return loaded.project().name;
      project = own;
    }
    return project.empty() ? loaded.project().name : project;
  }

  static std::string file_of(const settings::Settings& loaded) {
    const auto& file = loaded.project().file;
    return file.empty() ? std::string{"no codops.yaml"} : file.filename().string();
  }

  static std::string text(const std::vector<Problem>& problems, const settings::Settings& loaded,
                          const std::vector<std::string>& names) {
    std::string out;
    for (const auto& problem : problems) out += describe(problem) + "\n";
    for (const auto& warning : loaded.warnings()) out += fmt::format("warning: {}\n", describe(warning));
    if (!problems.empty()) {
      return out + fmt::format("\n{} problem{}\n", problems.size(), problems.size() == 1 ? "" : "s");
    }
    return out + fmt::format("{} is in order: project \"{}\", {}\n", file_of(loaded), project_of(loaded, names),
                             fmt::join(names, ", "));
  }

  static nlohmann::ordered_json entry(const Problem& problem) {
    nlohmann::ordered_json object;
    object["at"] = describe(problem.at);
    if (problem.at.line > 0) {
      object["file"] = problem.at.name;
      object["line"] = problem.at.line;
      object["column"] = problem.at.column;
    }
    object["message"] = problem.message;
    if (!problem.hint.empty()) object["hint"] = problem.hint;
    return object;
  }

  static std::string json(const std::vector<Problem>& problems, const settings::Settings& loaded,
                          const std::vector<std::string>& names) {
    nlohmann::ordered_json document;
    document["exit"] = static_cast<int>(problems.empty() ? Exit::ok : Exit::config);
    document["environments"] = names;
    document["problems"] = nlohmann::ordered_json::array();
    for (const auto& problem : problems) document["problems"].push_back(entry(problem));
    document["warnings"] = nlohmann::ordered_json::array();
    for (const auto& warning : loaded.warnings()) document["warnings"].push_back(entry(warning));
    return document.dump();
  }

  std::vector<std::string> environments_;
};

}  // namespace

std::unique_ptr<Command> make_config_check() { return make_command<ConfigCheck>(); }

}  // namespace codops::commands

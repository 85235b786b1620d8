#include "lib/settings/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/settings/layers.hpp"
#include "lib/settings/read_environment.hpp"
#include "lib/settings/read_if_there.hpp"
#include "lib/settings/schema.hpp"
#include "lib/settings/unset.hpp"
#include "lib/text/dotenv.hpp"
#include "lib/text/yaml.hpp"

namespace codops::settings {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> usual_environments{"production", "staging", "development"};
// .env.example and the like are no environments.
constexpr std::array<std::string_view, 6> never_environments{"example", "sample", "template", "dist", "local", "defaults"};

bool is_environment_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-' || c == '_'; }) &&
         std::find(never_environments.begin(), never_environments.end(), name) == never_environments.end();
}

// Compose's rule for a directory's name: lower case, [a-z0-9_-], and it begins with a letter or a digit.
std::string project_name_of(const fs::path& directory) {
  std::string name;
  for (char c : directory.filename().string()) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (word || (!name.empty() && (c == '_' || c == '-'))) name += c;
  }
  return name.empty() ? "project" : name;
}

// How messages show a file: relative to the project when it is inside.
std::string shown(const fs::path& file, const fs::path& directory) {
  const auto relative = file.lexically_relative(directory);
  return relative.empty() || *relative.begin() == ".." ? file.string() : relative.string();
}

// The ENV of every "PREFIX.ENV.SUFFIX" in a directory, sorted.
std::vector<std::string> names_between(const fs::path& directory, std::string_view prefix, std::string_view suffix) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{directory, ignored}) {
    const auto file = entry.path().filename().string();
    if (file.size() <= prefix.size() + suffix.size() || !file.starts_with(prefix) || !file.ends_with(suffix)) continue;
    names.push_back(file.substr(prefix.size(), file.size() - prefix.size() - suffix.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void sort(std::vector<Problem>& problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.at.kind, a.at.name, a.at.line, a.at.column) < std::tie(b.at.kind, b.at.name, b.at.line, b.at.column);
  });
}

void throw_if_any(const std::vector<Problem>& problems) {
  if (problems.empty()) return;
  if (problems.size() == 1) {
    const auto& only = problems.front();
    throw Failure{Exit::config, fmt::format("{}: {}", describe(only.at), only.message), only.hint};
  }
  throw Failure{Exit::config, describe(problems), "codops config check"};
}

// Its packages are installed, and run, from there.
bool is_workspace(const fs::path& directory) {
  if (is_there(directory / "pnpm-workspace.yaml")) return true;
  std::error_code error;
  const auto file = directory / "package.json";
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > (1U << 20U)) return false;
  try {
    return io::read_file_if_there(file).value_or("").find("\"workspaces\"") != std::string::npos;
  } catch (const Failure&) {
    return false;
  }
}

}  // namespace

fs::path find_project(const fs::path& from) {
  fs::path workspace;
  bool own = false;
  for (fs::path directory = from;; directory = directory.parent_path()) {
    // The last one is setup-dev's: what it made belongs to that folder, whatever folder below it is asked from.
    for (const auto* mark : {"codops.yaml", "docker-compose.prod.yml", "k8s", ".codops/dev"}) {
      if (is_there(directory / mark)) return directory;
    }
    if (workspace.empty() && !own) {
      if (is_workspace(directory)) workspace = directory;
      for (const auto* lock : {"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"}) own = own || is_there(directory / lock);
    }
    if (is_there(directory / ".git") || directory == directory.parent_path()) return workspace.empty() ? from : workspace;
  }
}

std::optional<std::string> read_if_there(const fs::path& file) {
  try {
    return io::read_file_if_there(file);
  } catch (Failure& failure) {
    throw failure.with_code(Exit::config);
  }
}

Settings Settings::load(Sources sources) {
  Settings settings;
  settings.sources_ = std::move(sources);
  settings.project_.directory = settings.sources_.directory;
  settings.project_.name = project_name_of(settings.sources_.directory);
  settings.read_files();
  settings.variables_ = read_variables(settings.sources_.variables, settings.problems_, settings.warnings_);
  settings.flags_ = read_flags(settings.sources_.set, settings.problems_);
  settings.find_environments();
  sort(settings.problems_);
  return settings;
}

namespace {

// A file of settings that is not there is a mistake in the settings, whatever 1 means to the verb.
std::string read_named(const std::filesystem::path& file) {
  try {
    return io::read_file(file);
  } catch (Failure& failure) {
    throw failure.with_code(Exit::config);
  }
}

}  // namespace

void Settings::read_files() {
  const auto& directory = sources_.directory;
  const bool named = !sources_.file.empty();
  const auto file = named ? sources_.file : directory / "codops.yaml";
  text::Node root;
  if (const auto content = named ? std::optional{read_named(file)} : read_if_there(file)) {
    project_.file = file;
    root = text::parse_yaml(*content, shown(file, directory));
  }
  shared_ = read_mapping(root, {"name", "environments"}, problems_);
  if (const auto* name = root.find("name"); name != nullptr && name->is_scalar()) project_.name = name->text;

  const auto* environments = root.find("environments");
  if (environments != nullptr && !environments->is_null() && !environments->is_mapping()) {
    problems_.push_back({origin_of(environments->at), fmt::format("environments is a mapping, not {}", environments->kind_name()),
                         "write production: below it"});
  } else if (environments != nullptr) {
    for (const auto& entry : environments->entries) {
      listed_ = true;
      if (!is_environment_name(entry.key)) {
        problems_.push_back({origin_of(entry.at), fmt::format("\"{}\" can't be an environment's name", entry.key),
                             "letters, digits, - and _; not example, sample, template, dist, local"});
      }
      by_environment_[entry.key] = read_mapping(entry.value, {}, problems_);
    }
  }
  const auto stem = file.stem().string();
  for (const auto& name : names_between(file.parent_path(), stem + ".", ".yaml")) {
    if (!is_environment_name(name)) continue;
    const auto path = file.parent_path() / fmt::format("{}.{}.yaml", stem, name);
    const auto overlay = text::parse_yaml(read_named(path), shown(path, directory));
    by_environment_[name].overlay(read_mapping(overlay, {}, problems_));
  }
  for (const auto& name : sources_.reserved) {
    if (by_environment_.contains(name)) {
      problems_.push_back({{Origin::Kind::file, shown(file, directory), 0, 0},
                           fmt::format("\"{}\" can't be an environment's name: a command has it", name), {}});
    }
  }
}

void Settings::find_environments() {
  std::vector<std::string>& known = project_.environments;
  for (const auto& [name, values] : by_environment_) known.push_back(name);
  if (!listed_) {
    known.insert(known.end(), usual_environments.begin(), usual_environments.end());
    for (auto& name : names_between(sources_.directory, ".env.", "")) {
      if (is_environment_name(name)) known.push_back(std::move(name));
    }
  }
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
}

void Settings::require_valid() const { throw_if_any(problems_); }

void Settings::require_known(std::string_view name) const {
  const auto& known = project_.environments;
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  const auto near = nearest(name, known);
  auto hint = listed_ ? fmt::format("{} has {}", shown(project_.file, project_.directory), fmt::join(known, ", "))
                      : fmt::format("known are {}; add .env.{} or environments: in codops.yaml", fmt::join(known, ", "), name);
  if (!is_environment_name(name)) hint = fmt::format("known are {}", fmt::join(known, ", "));
  if (!near.empty()) hint = fmt::format("did you mean \"{}\"? {}", near, hint);
  throw Failure{Exit::config, fmt::format("unknown environment \"{}\"", io::shown_word(name)), hint};
}

Values Settings::values(std::string_view environment) const {
  Values merged = built_in();
  merged.overlay(conventions(sources_.directory, environment));
  merged.overlay(shared_);
  if (const auto own = by_environment_.find(std::string{environment}); own != by_environment_.end()) {
    merged.overlay(own->second);
  }
  merged.overlay(variables_);
  merged.overlay(flags_);
  fill_in(merged);
  resolve_compose_files(merged, sources_.directory, sources_.variables);
  resolve_engine(merged, sources_.directory);
  return merged;
}

Values Settings::replace_variables(const Values& values, std::vector<Problem>& problems) const {
  const text::Lookup from_shell = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = sources_.variables.find(std::string{name});
    return found == sources_.variables.end() ? std::nullopt : std::optional{found->second};
  };
  // The files themselves can be named with the shell's variables only.
  std::optional<std::map<std::string, std::string>> assignments;
  const auto from_files = [&](std::string_view name) -> std::optional<std::string> {
    if (!assignments) {
      assignments.emplace();
      for (const auto& file : values.list("env_files")) {
        const auto path = sources_.directory / text::interpolate(file, from_shell);
        const auto content = read_if_there(path);
        if (!content) continue;
        for (auto& assignment : text::parse_dotenv(*content, file, from_shell)) {
          if (assignment.value) (*assignments)[assignment.name] = std::move(*assignment.value);
        }
      }
    }
    const auto found = assignments->find(std::string{name});
    return found == assignments->end() ? from_shell(name) : std::optional{found->second};
  };

  Values replaced = values;
  for (const auto& [path, value] : values.all()) {
    const auto* key = find_key(path);
    // A hook's words stand in argv and in the journal: what an environment's file holds must not get there.
    if (path.starts_with("hooks.") && path.ends_with(".run")) continue;
    Value made = value;
    for (auto& word : made.words) {
      if (word.find('$') == std::string::npos) continue;
      try {
        std::string unset;
        word = text::interpolate(word, path == "env_files" ? from_shell : text::Lookup{from_files}, [&](std::string_view name) { unset = name; });
        const bool keeps_any_text = key != nullptr && (key->type == Type::text || key->type == Type::argv);
        if (!unset.empty() && keeps_any_text && path.starts_with("health.checks.")) word = unset_mark + unset;
      } catch (const Failure& failure) {
        problems.push_back({value.origin, fmt::format("{}: {}", path, failure.message()), failure.hint()});
        continue;
      }
      if (const auto wrong = key != nullptr ? check_value(*key, word) : std::string{}; !wrong.empty()) {
        problems.push_back({value.origin, fmt::format("{} {}", path, wrong), "that is the value of its variable"});
        word.clear();
      }
    }
    replaced.set(path, std::move(made));
  }
  return replaced;
}

std::vector<Problem> Settings::problems_of(std::string_view environment) const {
  std::vector<Problem> problems;
  const auto replaced = replace_variables(values(environment), problems);
  if (problems.empty()) problems = check_environment(replaced);
  sort(problems);
  return problems;
}

Environment Settings::environment(std::string_view name) const {
  require_valid();
  require_known(name);
  std::vector<Problem> problems;
  const auto replaced = replace_variables(values(name), problems);
  throw_if_any(problems);
  problems = check_environment(replaced);
  sort(problems);
  throw_if_any(problems);
  auto environment = read_environment(std::string{name}, sources_.directory, replaced);
  environment.compose_file_passed_over = settings::compose_file_passed_over(replaced, sources_.directory, sources_.variables);
  return environment;
}

std::string describe(const Problem& problem) {
  auto line = fmt::format("{}: {}", describe(problem.at), problem.message);
  if (!problem.hint.empty()) line += "; " + problem.hint;
  return line;
}

std::string describe(const std::vector<Problem>& problems) {
  auto text = fmt::format("the settings have {} problem{}", problems.size(), problems.size() == 1 ? "" : "s");
  for (const auto& problem : problems) text += "\n  " + describe(problem);
  return text;
}

}  // namespace codops::settings

// `codops config compose` beside `docker compose config --format json`: on real files, and on the cases of this folder.
//
// A case is one file: sections that begin with "=== NAME" are written as files of that name; "=== args" holds the
// arguments (-f FILE, --profile NAME, --env-file FILE, -p NAME), "=== env" the caller's variables, "=== differs" the
// reason why codops' answer is another one (then only docker compose's answer is not compared).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/failure.hpp"
#include "lib/compose/load.hpp"
#include "tests/integration/compose/oracle.hpp"
#include "tests/support/source_dir.hpp"

namespace fs = std::filesystem;
using namespace codops;
using nlohmann::json;

namespace {

struct Asked {
  compose::LoadOptions options;
  std::vector<std::string> arguments;  // the same for docker compose
};

const std::string* oracle() {
  static std::string why;
  static const auto found = tests::docker_compose(why);
  if (found) return &*found;
  const char* required = std::getenv("CODOPS_REQUIRE_SERVICES");
  if (required && std::string{required} == "1") FAIL("docker compose is not to be had: ", why);
  MESSAGE("skipped: docker compose is not to be had: ", why);
  return nullptr;
}

std::string read_file(const fs::path& path) {
  std::ifstream in{path};
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

// Where two documents differ first, as a path; empty: they are equal.
std::string difference(const json& ours, const json& theirs, const std::string& at = "") {
  if (ours == theirs) return {};
  if (ours.is_object() && theirs.is_object()) {
    for (const auto& [key, value] : theirs.items()) {
      if (!ours.contains(key)) return fmt::format("{}.{}: missing, docker compose has {}", at, key, value.dump());
      if (auto inner = difference(ours[key], value, at + "." + key); !inner.empty()) return inner;
    }
    for (const auto& [key, value] : ours.items()) {
      if (!theirs.contains(key)) return fmt::format("{}.{}: {}, docker compose has nothing", at, key, value.dump());
    }
  }
  return fmt::format("{}: {}, docker compose has {}", at, ours.dump(), theirs.dump());
}

struct Answers {
  std::optional<json> ours, theirs;
  std::string our_error, their_error;
};

Answers answers(const std::string& docker_compose, const Asked& asked, const fs::path& folder) {
  Answers both;
  std::vector<std::string> command{docker_compose};
  command.insert(command.end(), asked.arguments.begin(), asked.arguments.end());
  command.insert(command.end(), {"config", "--format", "json"});
  const auto ran = tests::run(command, folder, asked.options.environment);
  if (ran.exit == 0) {
    both.theirs = json::parse(ran.out);
  } else {
    both.their_error = ran.err;
  }
  const auto before = fs::current_path();
  fs::current_path(folder);
  try {
    both.ours = json::parse(compose::to_json(compose::load(asked.options)));
  } catch (const Failure& failure) {
    both.our_error = failure.message();
    CHECK(failure.code() == Exit::config);
    CHECK_FALSE(failure.message().empty());
  }
  fs::current_path(before);
  return both;
}

void compare(const Answers& both) {
  if (both.theirs) {
    CHECK_MESSAGE(both.ours, "docker compose takes it, codops says: ", both.our_error);
    if (both.ours) CHECK_MESSAGE(*both.ours == *both.theirs, difference(*both.ours, *both.theirs));
  } else {
    CHECK_MESSAGE(!both.ours, "codops takes it, docker compose says: ", both.their_error);
  }
}

std::vector<fs::path> sorted(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator{folder}) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::map<std::string, std::string> sections_of(const fs::path& path) {
  std::map<std::string, std::string> sections;
  std::istringstream lines{read_file(path)};
  std::string* section = nullptr;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("=== ")) {
      section = &sections[line.substr(4)];
    } else if (section) {
      *section += line + "\n";
    }
  }
  return sections;
}

Asked asked_of(const std::map<std::string, std::string>& sections) {
  Asked asked;
  asked.options.environment = {{"HOME", "/home/tester"}, {"PATH", "/usr/bin:/bin"}};
  if (sections.contains("env")) {
    std::istringstream lines{sections.at("env")};
    for (std::string line; std::getline(lines, line);)
      asked.options.environment[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  }
  if (!sections.contains("args")) return asked;
  std::istringstream words{sections.at("args")};
  std::string option, value;
  while (words >> option >> value) {
    asked.arguments.insert(asked.arguments.end(), {option, value});
    if (option == "-f") asked.options.files.push_back(value);
    if (option == "-p") asked.options.project_name = value;
    if (option == "--profile") asked.options.profiles.push_back(value);
    if (option == "--env-file") asked.options.env_files.push_back(value);
    if (option == "--project-directory") asked.options.project_dir = value;
  }
  return asked;
}

}  // namespace

TEST_CASE("compose: real sample stacks come out as docker compose prints them") {
  const char* data = std::getenv("CODOPS_TEST_DATA");
  if (!data) {
    MESSAGE("skipped: CODOPS_TEST_DATA is not set");
    return;
  }
  const auto* docker_compose = oracle();
  if (!docker_compose) return;
  int compared = 0;
  for (const auto& folder : sorted(fs::path{data} / "compose")) {
    if (!fs::is_directory(folder)) continue;
    for (const auto& file : sorted(folder)) {
      if (file.extension() != ".yaml" && file.extension() != ".yml") continue;
      CAPTURE(file.string());
      Asked asked;
      asked.options.environment = {{"HOME", "/home/tester"}, {"PATH", "/usr/bin:/bin"}};
      asked.options.files = {file.string()};
      asked.arguments = {"-f", file.string()};
      const auto both = answers(*docker_compose, asked, folder);
      CHECK_MESSAGE(both.theirs, both.their_error);
      compare(both);
      ++compared;
    }
  }
  CHECK(compared >= 10);
}

TEST_CASE("compose: tricky cases come out as docker compose prints them, and what it rejects is rejected") {
  const auto* docker_compose = oracle();
  if (!docker_compose) return;
  const fs::path base = fs::temp_directory_path() / fmt::format("codops-compose-{}", getpid());
  for (const auto& path : sorted(codops::tests::source_dir() + "/tests/integration/compose/cases")) {
    const auto name = path.stem().string();
    CAPTURE(name);
    const auto folder = base / "project";
    fs::remove_all(folder);
    const auto sections = sections_of(path);
    for (const auto& [file, content] : sections) {
      if (file == "args" || file == "env" || file == "differs") continue;
      fs::create_directories((folder / file).parent_path());
      std::ofstream{folder / file} << content;
    }
    const auto both = answers(*docker_compose, asked_of(sections), folder);
    if (sections.contains("differs")) {
      CHECK_MESSAGE(both.ours.has_value() != both.theirs.has_value(), "no difference is left: remove the section");
    } else {
      compare(both);
    }
  }
  fs::remove_all(base);
}

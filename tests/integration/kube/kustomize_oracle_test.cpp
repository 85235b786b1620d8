// What codops makes of a kustomization is what `kubectl kustomize` makes of it: the cases of kustomize_cases.txt, and every kustomization
// below CODOPS_TEST_DATA/manifests. kubectl is the one beside the tests' API server, of the version that the rules are from.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/kube/from_yaml.hpp"
#include "lib/kube/kustomize.hpp"
#include "tests/support/source_dir.hpp"

using namespace codops;

namespace {

namespace fs = std::filesystem;

std::string kubectl() {
  std::vector<fs::path> folders;
  const auto add = [&](const char* variable, const char* below) {
    if (const auto* value = std::getenv(variable); value && *value) folders.push_back(fs::path{value} / below);
  };
  add("KUBEBUILDER_ASSETS", "");
  // Where the tests' cluster unpacks its programs.
  add("XDG_CACHE_HOME", "codops-kube");
  add("HOME", ".cache/codops-kube");
  std::error_code ignored;
  for (const auto& folder : folders) {
    if (fs::exists(folder / "kubectl", ignored)) return (folder / "kubectl").string();
  }
  MESSAGE("skipped: there is no kubectl in KUBEBUILDER_ASSETS");
  return {};
}

struct KustomizeCase {
  std::string name, top;
  std::map<std::string, std::string> files;
};

// The first case is "base", whose files all others have.
std::vector<KustomizeCase> cases() {
  std::vector<KustomizeCase> all;
  std::istringstream in{io::read_file(codops::tests::source_dir() + "/tests/integration/kube/kustomize_cases.txt")};
  std::string line, *content = nullptr;
  while (std::getline(in, line)) {
    if (line.starts_with("=== ")) {
      const auto space = line.rfind(' ');
      all.push_back({line.substr(4, space > 4 ? space - 4 : std::string::npos), line.substr(space + 1), {}});
      content = nullptr;
    } else if (line.starts_with("--- ") && !all.empty()) {
      content = &all.back().files[line.substr(4)];
    } else if (content) {
      *content += line + "\n";
    }
  }
  return all;
}

void compare(const std::string& program, const fs::path& folder) {
  io::Program kustomize;
  kustomize.argv = {program, "kustomize", folder.string()};
  const auto text = io::capture(kustomize, {Deadline::after(Milliseconds{60'000}), {}});
  auto wanted = nlohmann::json::array(), made = nlohmann::json::array();
  for (const auto& node : kube::read_yaml(text, "kubectl")) wanted.push_back(kube::to_json(node));
  for (const auto& object : kube::render_kustomization(folder, folder).objects) made.push_back(object.json());
  REQUIRE(made.size() == wanted.size());
  for (std::size_t i = 0; i < made.size(); ++i) CHECK(made[i].dump(1) == wanted[i].dump(1));
}

}  // namespace

TEST_CASE("kustomizations as kubectl renders them") {
  const auto program = kubectl();
  if (program.empty()) return;
  const auto all = cases();
  REQUIRE(all.size() > 30);
  for (std::size_t i = 1; i < all.size(); ++i) {
    CAPTURE(all[i].name);
    const io::TemporaryFolder folder;
    for (const auto* files : {&all[0].files, &all[i].files}) {
      for (const auto& [path, content] : *files) {
        io::make_folders((folder.path() / path).parent_path());
        io::write_file(folder.path() / path, content);
      }
    }
    compare(program, folder.path() / all[i].top);
  }
}

TEST_CASE("real kustomizations as kubectl renders them") {
  const auto program = kubectl();
  if (program.empty()) return;
  const auto* data = std::getenv("CODOPS_TEST_DATA");
  std::error_code ignored;
  if (!data || !fs::exists(fs::path{data} / "manifests", ignored)) {
    MESSAGE("skipped: CODOPS_TEST_DATA names no folder with manifests");
    return;
  }
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path{data} / "manifests")) {
    if (entry.path().filename() != "kustomization.yaml" || io::read_file(entry.path()).find("kind: Component") != std::string::npos) continue;
    CAPTURE(entry.path().string());
    compare(program, entry.path().parent_path());
    ++seen;
  }
  CHECK(seen > 0);
}

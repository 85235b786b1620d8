#include "lib/kube/manifests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/io/files.hpp"
#include "lib/kube/from_yaml.hpp"
#include "lib/kube/kustomize.hpp"
#include "lib/kube/lint.hpp"
#include "lib/kube/secret_data.hpp"

namespace codops::kube {
namespace {

namespace fs = std::filesystem;

bool is_manifest(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

// Sorted by path, so that the order is the same on every machine.
std::vector<fs::path> manifest_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error); !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().filename().string().starts_with('.')) {
      if (at->is_directory()) at.disable_recursion_pending();
      continue;
    }
    if (at->is_directory() && !find_kustomization(at->path()).empty())
      throw Failure{Exit::config, fmt::format("\"{}\" has a kustomization inside a folder of plain manifests", at->path().string()),
                    "write a kustomization.yaml above that lists what belongs together, or point kubernetes.manifests at that folder"};
    if (at->is_regular_file() && is_manifest(at->path())) files.push_back(at->path());
  }
  if (error) throw Failure{Exit::config, fmt::format("\"{}\" can't be read: {}", folder.string(), error.message())};
  std::sort(files.begin(), files.end());
  return files;
}

void read_stream(std::string_view text, const std::string& shown, Manifests& into, text::Problems& problems) {
  try {
    for (auto& node : read_yaml(text, shown)) {
      const auto source = std::make_shared<const text::Node>(std::move(node));
      for (auto& object : flatten(Object{to_json(*source), source})) into.objects.push_back(std::move(object));
    }
  } catch (const Failure& failure) {
    problems.add(failure);
  }
}

void check(const Manifests& manifests, text::Problems& problems) {
  for (const auto& object : manifests.objects) {
    const auto before = problems.size();
    check_shape(object, problems);
    if (problems.size() == before) check_duplicates(object, problems);
    if (problems.size() == before) check_texts(object, problems);
  }
  if (problems.empty()) check_unique(manifests.objects, problems);
  problems.throw_if_any();
}

}  // namespace

Manifests load_manifests(const fs::path& path, const fs::path& shown_from) {
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    throw Failure{Exit::config, fmt::format("there are no manifests at \"{}\"", path.string()), "kubernetes.manifests in codops.yaml names the folder"};
  Manifests loaded;
  text::Problems problems;
  const bool folder = fs::is_directory(path, ignored);
  const auto name = path.filename();
  const bool named = name == "kustomization.yaml" || name == "kustomization.yml" || name == "Kustomization";
  if (named || (folder && !find_kustomization(path).empty())) {
    auto made = render_kustomization(folder ? path : path.parent_path(), shown_from);
    loaded.objects = std::move(made.objects);
    loaded.warnings = std::move(made.warnings);
    loaded.files = std::move(made.files);
    loaded.kustomized = true;
  } else {
    loaded.files = folder ? manifest_files(path) : std::vector{path};
    for (const auto& file : loaded.files) {
      const auto shown = file.lexically_proximate(shown_from).string();
      read_stream(io::read_file(file), shown, loaded, problems);
    }
  }
  check(loaded, problems);
  if (loaded.objects.empty())
    throw Failure{Exit::config, fmt::format("there is no object in \"{}\"", path.string()), "kubernetes.manifests in codops.yaml names the folder"};
  return loaded;
}

Manifests read_manifests(std::string_view text, std::string file) {
  Manifests loaded;
  text::Problems problems;
  read_stream(text, file, loaded, problems);
  check(loaded, problems);
  return loaded;
}

}  // namespace codops::kube

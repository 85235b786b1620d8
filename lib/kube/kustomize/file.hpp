#pragma once
// A kustomization file: read, its fields checked, paths kept inside its folder.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lib/kube/kustomize/resource.hpp"
#include "lib/text/problems.hpp"

namespace codops::kube::kustomize {

struct File {
  std::filesystem::path folder;  // absolute
  std::filesystem::path path;
  std::string shown;
  std::shared_ptr<const text::Node> node;
  Json json;
  bool component{};
  std::vector<std::string> warnings;
};

// Failure{config}: unknown fields and those outside of the subset, with the way out.
File read_kustomization(const std::filesystem::path& folder, const std::filesystem::path& shown_from);

// What to do when something needs the real kustomize.
std::string way_out(const std::filesystem::path& folder);

// Reads `name`, relative to the kustomization's folder. Failure{config} at `at`: not there, outside of the folder, a URL.
std::filesystem::path path_inside(const File& file, const std::string& name, const text::Position& at);
std::string read_inside(const File& file, const std::string& name, const text::Position& at);
bool is_remote(const std::string& name);

// Position of a value in the file: ("patches", 2).
text::Position position_of(const File& file, const char* field, std::size_t index);

std::string text_of(const Json& map, const char* name);  // "" when absent or not text
std::vector<std::string> texts_of(const Json& map, const char* name);
// False when absent. Failure{config} at `at` for anything but true and false.
bool flag_of(const Json& map, const char* name, const text::Position& at);

}  // namespace codops::kube::kustomize

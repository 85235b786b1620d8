#include "lib/scaffold/dev/env_order.hpp"

#include <algorithm>
#include <filesystem>

namespace codops::scaffold::dev {
namespace {

std::string folder_of(const std::string& path) { return std::filesystem::path{path}.parent_path().string(); }

// Does a program in `directory` read what is in `folder`?
bool reaches(const std::string& directory, const std::string& folder) {
  return folder.empty() || directory == folder || (directory.starts_with(folder) && directory[folder.size()] == '/');
}

int rank(const std::string& path) {
  const bool development = path.find(".env.development") != std::string::npos;
  return (path.ends_with(".local") ? 2 : 0) + (development ? 1 : 0);
}

// The longest folder by which `directory` reaches this file; nullopt: by none.
std::optional<std::size_t> nearness(const EnvFile& file, const std::string& directory) {
  std::optional<std::size_t> best;
  const auto look = [&](const std::string& path) {
    const auto folder = folder_of(path);
    if (reaches(directory, folder) && (!best || folder.size() > *best)) best = folder.size();
  };
  look(file.path);
  for (const auto& link : file.links) look(link);
  return best;
}

}  // namespace

std::vector<const EnvFile*> files_for(const std::vector<EnvFile>& files, const std::string& directory) {
  auto plain = std::filesystem::path{directory}.lexically_normal().string();
  while (plain.ends_with('/')) plain.pop_back();
  if (plain == ".") plain.clear();
  std::vector<std::pair<std::pair<std::size_t, int>, const EnvFile*>> found;
  for (const auto& file : files) {
    if (const auto near = nearness(file, plain)) found.push_back({{*near, rank(file.path)}, &file});
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<const EnvFile*> out;
  for (const auto& one : found) out.push_back(one.second);
  return out;
}

std::optional<Named> named_in(const std::vector<EnvFile>& files, std::string_view name, const std::string& directory) {
  for (const auto* file : files_for(files, directory)) {
    if (auto value = file->after.value(name); value && !value->empty()) return Named{*value, file->path};
  }
  return std::nullopt;
}

std::optional<Named> named_first(const std::vector<EnvFile>& files, std::string_view name) {
  if (auto own = named_in(files, name, "")) return own;
  for (const auto& file : files) {
    if (auto found = named_in(files, name, folder_of(file.path))) return found;
  }
  return std::nullopt;
}

}  // namespace codops::scaffold::dev

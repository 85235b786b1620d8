#include "lib/migrate/source_archive.hpp"

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/io/tar.hpp"

namespace codops::migrate {

namespace {

constexpr std::uint64_t largest = 256U << 20U;

// "./migrations/1_a/migration.sql" → "1_a/migration.sql"; empty for the folder itself.
std::string below_folder(std::string_view path) {
  if (path.starts_with("./")) path.remove_prefix(2);
  while (path.starts_with('/')) path.remove_prefix(1);
  const auto slash = path.find('/');
  return slash == std::string_view::npos ? std::string{} : std::string{path.substr(slash + 1)};
}

}  // namespace

std::vector<File> read_archive(std::string_view tar) {
  std::vector<File> files;
  for (auto& entry : io::read_tar(io::bytes_of(tar), largest)) {
    auto path = below_folder(entry.path);
    if (path.empty() || path.front() == '.') continue;
    if (entry.kind == io::TarEntry::Kind::directory) {
      if (!path.ends_with('/')) path += '/';
      files.push_back({std::move(path), {}});
    } else if (entry.kind == io::TarEntry::Kind::file && (path.ends_with(".sql") || path.ends_with(".toml") || path.ends_with(".conf"))) {
      files.push_back({std::move(path), std::move(entry.content)});
    }
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

}  // namespace codops::migrate

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

std::optional<std::string> archive_link(std::string_view tar) {
  const auto entries = io::read_tar(io::bytes_of(tar), largest);
  if (entries.size() != 1 || entries.front().kind != io::TarEntry::Kind::symlink) return std::nullopt;
  return entries.front().link_target;
}

std::optional<std::string> archived_file(std::string_view tar) {
  auto entries = io::read_tar(io::bytes_of(tar), largest);
  if (entries.size() != 1 || entries.front().kind != io::TarEntry::Kind::file) return std::nullopt;
  return std::move(entries.front().content);
}

std::vector<File> read_archive(std::string_view tar) {
  std::vector<File> files;
  for (auto& entry : io::read_tar(io::bytes_of(tar), largest)) {
    auto path = below_folder(entry.path);
    if (path.empty() || (path.front() == '.' && !path.ends_with("/migration.sql") && !path.ends_with("/down.sql"))) continue;
    if (entry.kind == io::TarEntry::Kind::directory) {
      if (!path.ends_with('/')) path += '/';
      files.push_back({std::move(path), {}});
    } else if (entry.kind == io::TarEntry::Kind::file && (path.ends_with(".sql") || path.ends_with(".toml") || path.ends_with(".conf"))) {
      files.push_back({std::move(path), std::move(entry.content)});
    } else if (entry.kind == io::TarEntry::Kind::hardlink && path.ends_with(".sql")) {
      // One file under two names: its content came with the first.
      const auto first = std::find_if(files.begin(), files.end(), [target = below_folder(entry.link_target)](const File& file) { return file.path == target; });
      if (first == files.end()) throw Failure{Exit::data, "\"" + path + "\" is a hard link to \"" + entry.link_target + "\", which is outside of the folder", "copy the file into the image"};
      files.push_back({std::move(path), std::string{first->content}});
    }
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

}  // namespace codops::migrate

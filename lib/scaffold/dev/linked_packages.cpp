#include "lib/scaffold/dev/linked_packages.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/json_fields.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

fs::path modules_of(const fs::path& project, const Package& package) { return project / package.directory / "node_modules"; }

// Entries of node_modules and of its scopes, "@shop/money".
void each_entry(const fs::path& modules, const std::function<void(const std::string& name, const fs::path& path)>& take) {
  const auto walk = [&](const fs::path& folder, const std::string& scope, const auto& self) -> void {
    std::error_code error;
    for (auto entry = fs::directory_iterator{folder, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
      const auto name = entry->path().filename().string();
      if (name.starts_with('.')) continue;
      std::error_code unreadable;
      const bool is_scope = scope.empty() && name.starts_with('@') && !entry->is_symlink(unreadable) && entry->is_directory(unreadable);
      if (is_scope) self(entry->path(), name + "/", self);
      else take(scope + name, entry->path());
    }
  };
  walk(modules, "", walk);
}

bool leaves(const fs::path& target, const fs::path& root) {
  const auto relative = target.lexically_relative(root);
  return relative.empty() || *relative.begin() == "..";
}

// A link out of the project: where it leads. Empty: it is something else, or leads nowhere.
fs::path way_out(const fs::path& path, const fs::path& root) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(path, error))) return {};
  auto target = fs::canonical(path, error);
  return error || !leaves(target, root) ? fs::path{} : target;
}

fs::path note_of(const fs::path& folder, const Package& package) {
  return folder / fmt::format("links-{}.json", package.directory.empty() ? "root" : io::sha256_hex(package.directory).substr(0, 12));
}

std::vector<LinkedPackage> read_note(const fs::path& note) {
  std::vector<LinkedPackage> links;
  const auto text = io::read_file_if_there(note);
  const auto json = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json{};
  if (!json.is_array()) return links;
  for (const auto& one : json) {
    links.push_back({text_of(one, "name"), text_of(one, "link"), text_of(one, "leads_to")});
  }
  return links;
}

// What was installed goes only once the link is made beside it.
void put_link(const fs::path& place, const LinkedPackage& link) {
  const auto beside = place.parent_path() / fmt::format(".{}.{}.link", place.filename().string(), io::to_hex(io::random_bytes(4)));
  fs::create_directories(place.parent_path());
  fs::create_symlink(link.link, beside);
  // root installs for whoever owns the folder.
  struct stat status {};
  if (::geteuid() == 0 && ::stat(place.parent_path().c_str(), &status) == 0 && ::lchown(beside.c_str(), status.st_uid, status.st_gid) != 0) {
    // A file system without owners: the link works all the same.
  }
  std::error_code error;
  fs::remove_all(place, error);
  fs::rename(beside, place);
}

}  // namespace

std::vector<LinkedPackage> linked_packages(const fs::path& project, const Package& package) {
  std::vector<LinkedPackage> found;
  std::error_code error;
  const auto root = fs::canonical(project, error);
  each_entry(modules_of(project, package), [&](const std::string& name, const fs::path& path) {
    const auto target = way_out(path, root);
    std::error_code unreadable;
    if (!target.empty()) found.push_back({name, fs::read_symlink(path, unreadable).string(), target.string()});
  });
  std::sort(found.begin(), found.end(), [](const LinkedPackage& a, const LinkedPackage& b) { return a.name < b.name; });
  return found;
}

std::vector<std::string> checked_out_packages(const fs::path& project, const Package& package) {
  std::vector<std::string> found;
  each_entry(modules_of(project, package), [&](const std::string& name, const fs::path& path) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(path, error)) && fs::exists(path / ".git", error)) found.push_back(name);
  });
  std::sort(found.begin(), found.end());
  return found;
}

void note_links(const fs::path& folder, const fs::path& project, const Package& package) {
  const auto note = note_of(folder, package);
  auto links = linked_packages(project, package);
  for (auto& earlier : read_note(note)) {
    const bool is_there = std::any_of(links.begin(), links.end(), [&](const LinkedPackage& one) { return one.name == earlier.name; });
    if (!is_there) links.push_back(std::move(earlier));
  }
  if (links.empty()) return;
  auto json = nlohmann::json::array();
  for (const auto& link : links) json.push_back({{"name", link.name}, {"link", link.link}, {"leads_to", link.leads_to}});
  io::write_file(note, json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::vector<LinkedPackage> restore_links(const fs::path& folder, const fs::path& project, const Package& package) {
  const auto note = note_of(folder, package);
  auto links = read_note(note);
  std::error_code error;
  const auto root = fs::canonical(project, error);
  std::vector<LinkedPackage> restored;
  for (auto& link : links) {
    const auto place = modules_of(project, package) / link.name;
    if (link.name.empty() || link.name.find("..") != std::string::npos || !fs::exists(link.leads_to, error)) continue;
    try {
      if (way_out(place, root).empty()) put_link(place, link);
    } catch (const fs::filesystem_error& failure) {
      throw Failure{Exit::failed, fmt::format("cannot put back the link \"{}\" -> \"{}\": {}", place.string(), link.link, failure.code().message()), "codops setup-dev"};
    }
    restored.push_back(std::move(link));
  }
  fs::remove(note, error);
  return restored;
}

}  // namespace codops::scaffold::dev

#include "lib/ops/travelling_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"

namespace codops::ops {
namespace {

namespace fs = std::filesystem;

// A configuration, not a data set: what is larger stays where it is.
constexpr std::uint64_t most_bytes = 16U << 20U;
constexpr std::size_t most_files = 1000;

bool lies_within(const fs::path& path, const fs::path& directory) {
  const auto relative = fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(directory));
  return !relative.empty() && *relative.begin() != "..";
}

struct Extent {
  std::uint64_t bytes{};
  std::size_t files{};
};

Extent extent_of(const fs::path& source) {
  if (!fs::is_directory(source)) return {fs::is_regular_file(source) ? fs::file_size(source) : 0, 1};
  Extent extent;
  for (const auto& entry : fs::recursive_directory_iterator{source}) {
    if (!entry.is_symlink() && !entry.is_regular_file()) continue;
    extent.bytes += entry.is_symlink() ? 0 : entry.file_size();
    if (++extent.files > most_files || extent.bytes > most_bytes) break;
  }
  return extent;
}

// Who mounts that place writable: what it writes there is meant to be seen by the others at once. Not who has the whole project.
std::string writer_of(const compose::Project& project, const fs::path& source, const fs::path& directory) {
  for (const auto& [name, service] : project.services) {
    for (const auto& mount : service.volumes) {
      if (mount.type != "bind" || mount.read_only || lies_within(directory, mount.source)) continue;
      if (lies_within(source, mount.source) || lies_within(mount.source, source)) return name;
    }
  }
  return {};
}

// "/a/" holds "/a/b".
bool is_below(std::string_view path, std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// Something is mounted over the place in the container's own layer.
bool is_covered(const compose::Service& service, const std::string& target) {
  return std::any_of(service.tmpfs.begin(), service.tmpfs.end(), [&](const std::string& entry) { return is_below(target, std::string_view{entry}.substr(0, entry.find(':'))); }) ||
         std::any_of(service.volumes.begin(), service.volumes.end(), [&](const auto& mount) { return (mount.type == "tmpfs" || mount.type == "volume") && is_below(target, mount.target); });
}

class Collector {
 public:
  Collector(const compose::Service& service, bool reloads, Travelling& found, std::map<std::string, std::string>& blobs)
      : service_{service}, reloads_{reloads}, found_{found}, blobs_{blobs} {}

  bool has_room_for(const Extent& extent) const { return total_ + extent.bytes <= most_bytes && found_.files.size() + extent.files <= most_files; }

  void add_path(const fs::path& source, const std::string& target) {
    if (!fs::is_directory(source)) return add_bound(source, target);
    Links links;
    for (const auto& entry : fs::recursive_directory_iterator{source}) {
      const auto place = target + "/" + entry.path().lexically_relative(source).string();
      if (entry.is_symlink()) add_link(entry.path(), source, place, links);
      else if (entry.is_regular_file()) add_bound(entry.path(), place);
    }
    tell(source, links.outward, "a symbolic link out of that folder stays one, as with docker compose, and leads to what the container has there");
    tell(source, links.left_out, "a symbolic link out of that folder, or to a folder, is left out of a container whose files are mounted one by one");
  }

  void add_file(const fs::path& source, const std::string& target, int mode, int uid, int gid, bool secret) {
    check_size(static_cast<std::uint64_t>(facts_of(source).st_size));
    add_content(io::read_file(source, most_bytes), target, mode, uid, gid, secret);
  }

  void add_content(std::string content, const std::string& target, int mode, int uid, int gid, bool secret) {
    check_size(content.size());
    total_ += content.size();
    auto sha256 = io::sha256_hex(content);
    found_.files.push_back({target, sha256, mode, uid, gid, secret, is_mounted(target)});
    blobs_.emplace(std::move(sha256), std::move(content));
  }

 private:
  struct Links {
    std::vector<std::string> outward, left_out;
  };

  bool is_mounted(const std::string& target) const { return !reloads_ && (service_.read_only || is_covered(service_, target)); }

  // To something that is mounted: this folder, or another.
  bool leads_to_mount(const std::string& to, const std::string& place) const {
    const auto there = (fs::path{place}.parent_path() / to).lexically_normal().string();
    return std::any_of(service_.volumes.begin(), service_.volumes.end(), [&](const auto& mount) { return there == mount.target || is_below(there, mount.target); });
  }

  // Never followed here but within the folder: it leads within the container, as in a bind.
  void add_link(const fs::path& link, const fs::path& source, const std::string& place, Links& links) {
    const auto to = fs::read_symlink(link).string();
    const auto shown = fmt::format("{} -> {}", link.lexically_relative(source).string(), to);
    if (is_mounted(place)) {
      // The engine would follow it on its own host.
      std::error_code unreadable;
      const auto file = fs::canonical(link, unreadable);
      if (!unreadable && fs::is_regular_file(file) && lies_within(file, source)) add_bound(file, place);
      else links.left_out.push_back(shown);
      return;
    }
    if (!leads_to_mount(to, place)) links.outward.push_back(shown);
    add_content(to, place, 0777, 0, 0, false);
    found_.files.back().link = true;
  }

  void tell(const fs::path& source, const std::vector<std::string>& links, std::string_view text) {
    if (links.empty()) return;
    const auto others = links.size() == 1 ? std::string{} : fmt::format(" and {} more", links.size() - 1);
    found_.warnings.push_back(fmt::format("{} mounts {} ({}{}): {}", service_.name, source.string(), links.front(), others, text));
  }

  struct stat facts_of(const fs::path& source) const {
    struct stat facts {};
    if (::stat(source.c_str(), &facts) == 0) return facts;
    throw Failure{Exit::config, fmt::format("\"{}\" of service \"{}\" can't be read: {}", source.string(), service_.name, std::strerror(errno))};
  }

  // Whoever deploys has checked it out, so its owner says nothing, but where nobody else may read it.
  void add_bound(const fs::path& source, const std::string& target) {
    const auto facts = facts_of(source);
    const int mode = static_cast<int>(facts.st_mode & 0777);
    const bool for_its_owner = (mode & 0004) == 0;
    add_file(source, target, mode, for_its_owner ? static_cast<int>(facts.st_uid) : 0, for_its_owner ? static_cast<int>(facts.st_gid) : 0, false);
  }

  void check_size(std::uint64_t more) const {
    if (total_ + more <= most_bytes && found_.files.size() < most_files) return;
    throw Failure{Exit::config,
                  fmt::format("the files mounted into \"{}\" are more than {} or {} files", service_.name, format_bytes(most_bytes), most_files),
                  "put them into the image, or into a volume"};
  }

  const compose::Service& service_;
  bool reloads_;
  Travelling& found_;
  std::map<std::string, std::string>& blobs_;
  std::uint64_t total_{0};
};

int number_or(const std::string& text, int otherwise) { return text.empty() ? otherwise : std::atoi(text.c_str()); }

void collect_objects(Collector& collector, const compose::Service& service, const std::vector<compose::FileReference>& references,
                     const std::map<std::string, compose::FileObject>& objects, const std::map<std::string, std::string>& environment,
                     const std::string& folder, int default_mode, bool secret) {
  for (const auto& reference : references) {
    const auto object = objects.find(reference.source);
    if (object == objects.end()) continue;
    auto target = reference.target.empty() ? reference.source : reference.target;
    if (!target.starts_with('/')) target = folder + target;
    const int mode = reference.mode ? static_cast<int>(*reference.mode) : default_mode;
    const int uid = number_or(reference.uid, 0);
    const int gid = number_or(reference.gid, 0);
    if (object->second.content) {
      collector.add_content(*object->second.content, target, mode, uid, gid, secret);
    } else if (!object->second.environment.empty()) {
      const auto value = environment.find(object->second.environment);
      if (value == environment.end()) {
        throw Failure{Exit::config, fmt::format("\"{}\" of service \"{}\" takes its content from the variable {}, which is not set",
                                                reference.source, service.name, object->second.environment)};
      }
      collector.add_content(value->second, target, mode, uid, gid, secret);
    } else if (!object->second.file.empty()) {
      collector.add_file(object->second.file, target, mode, uid, gid, secret);
    } else {
      throw Failure{Exit::config, fmt::format("\"{}\" of service \"{}\" is external: only a swarm has such an object", reference.source, service.name),
                    "give it a file, content or environment"};
    }
  }
}

void collect_mounts(Collector& collector, const compose::Project& project, const compose::Service& service, const fs::path& directory, bool remote, Travelling& found) {
  for (const auto& mount : service.volumes) {
    if (mount.type != "bind") continue;
    const bool ours = lies_within(mount.source, directory);
    std::string stays;
    if (mount.read_only && ours && fs::exists(mount.source)) {
      if (const auto writer = writer_of(project, mount.source, directory); !writer.empty()) stays = writer + " writes it";
      else if (!collector.has_room_for(extent_of(mount.source))) stays = fmt::format("more than {} or {} files do not travel", format_bytes(most_bytes), most_files);
    }
    if (!stays.empty() && !remote) found.notes.push_back(fmt::format("{} mounts {} as it is on this host ({}): a rollback does not change it", service.name, mount.source, stays));
    if (!mount.read_only || !ours || !stays.empty()) {
      if (remote) {
        throw Failure{Exit::config,
                      fmt::format("service \"{}\" mounts \"{}\" of this machine, and the engine is on another one", service.name, mount.source),
                      ours && stays.empty() ? "mount it read-only, then its content travels with the release; or use a named volume" : "use a named volume"};
      }
      continue;
    }
    if (!fs::exists(mount.source)) {
      throw Failure{Exit::config, fmt::format("service \"{}\" mounts \"{}\", which does not exist", service.name, mount.source)};
    }
    collector.add_path(mount.source, mount.target);
    found.replaced_mounts.insert(mount.target);
    if (fs::is_directory(mount.source) && !service.read_only && !is_covered(service, mount.target)) found.folders.push_back(mount.target);
  }
}

}  // namespace

Travelling travelling_files(const compose::Project& project, const compose::Service& service, const fs::path& directory,
                            bool remote, bool reloads, std::map<std::string, std::string>& blobs) {
  Travelling found;
  Collector collector{service, reloads, found, blobs};
  try {
    collect_mounts(collector, project, service, directory, remote, found);
  } catch (const fs::filesystem_error& error) {
    throw Failure{Exit::config, fmt::format("\"{}\" of service \"{}\" can't be read: {}", error.path1().string(), service.name, error.code().message())};
  }
  collect_objects(collector, service, service.configs, project.configs, project.environment, "/", 0444, false);
  collect_objects(collector, service, service.secrets, project.secrets, project.environment, "/run/secrets/", 0444, true);
  std::sort(found.files.begin(), found.files.end(), [](const auto& a, const auto& b) { return a.target < b.target; });
  if (reloads && service.read_only && !found.files.empty()) {
    throw Failure{Exit::config, fmt::format("the proxy \"{}\" is read_only, and its files are replaced while it runs, without a restart", service.name),
                  "drop read_only there, or bake its configuration into the image"};
  }
  return found;
}

}  // namespace codops::ops

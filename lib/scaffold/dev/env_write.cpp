#include "lib/scaffold/dev/env_write.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/in_place.hpp"
#include "lib/scaffold/dev/ports.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

bool inside(const fs::path& path, const fs::path& folder) {
  const auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

// Where the bytes are: behind links, as long as these stay inside the project.
struct Place {
  fs::path path;
  std::optional<Unwritable> refused;
};

Place place_of(const fs::path& project, const std::string& relative) {
  const auto no = [](std::string why, std::string hint) { return Place{{}, Unwritable{std::move(why), std::move(hint)}}; };
  std::error_code error;
  const auto root = fs::canonical(project, error);
  const auto folder = fs::canonical((project / relative).parent_path(), error);
  if (error) return no(fmt::format("the folder of \"{}\" can't be read: {}", relative, error.message()), "make it readable (chmod u+rx)");
  if (folder != root && !inside(folder, root)) return no(fmt::format("the folder of \"{}\" is a link that leaves the project", relative), "put a folder in its place");
  auto path = folder / fs::path{relative}.filename();
  if (!fs::is_symlink(fs::symlink_status(path, error))) return {path, {}};
  const auto target = fs::canonical(path, error);
  if (error) return no(fmt::format("\"{}\" is a link to nothing", relative), "remove the link, or make what it leads to");
  if (!inside(target, root)) {
    return no(fmt::format("\"{}\" is a link to \"{}\", outside of the project", relative, target.string()), "add the lines there yourself, or put a file in the link's place");
  }
  return {target, {}};
}

// `place` is where to write when nothing is against it.
std::optional<Unwritable> refused(const fs::path& project, const EnvFile& file, Place& place) {
  place = place_of(project, file.path);
  if (place.refused) return place.refused;
  struct stat status {};
  if (::stat(place.path.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode)) return Unwritable{fmt::format("\"{}\" is no file", file.path), "move it away"};
    // root may write everything: what counts is what its owner wanted.
    if (::geteuid() != 0 && status.st_uid != ::geteuid() && ::access(place.path.c_str(), W_OK) != 0) {
      return Unwritable{fmt::format("\"{}\" is user \"{}\"'s, and this is user \"{}\"", file.path, user_name(status.st_uid), user_name(::geteuid())),
                        fmt::format("sudo chown {} \"{}\", or add the lines yourself", user_name(::geteuid()), place.path.string())};
    }
    if ((status.st_mode & S_IWUSR) == 0 || ::access(place.path.c_str(), W_OK) != 0) {
      return Unwritable{fmt::format("\"{}\" is read-only", file.path), "make it writable (chmod u+w), or add the lines yourself"};
    }
  }
  if (::access(place.path.parent_path().c_str(), W_OK | X_OK) != 0) {
    return Unwritable{fmt::format("the folder of \"{}\" can't be written: {}", file.path, std::strerror(errno)), "make it writable, or add the lines yourself"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Unwritable> why_not_writable(const fs::path& project, const EnvFile& file) {
  Place place;
  return refused(project, file, place);
}

void write_env(const fs::path& project, const EnvFile& file, const fs::path& dev_folder) {
  Place place;
  if (auto no = refused(project, file, place)) throw Failure{Exit::failed, std::move(no->why), std::move(no->hint)};
  const auto now = io::read_file_if_there(place.path);
  if (now != file.before) throw Failure{Exit::failed, fmt::format("\"{}\" was changed meanwhile", file.path), "codops setup-dev"};

  struct stat status {};
  const bool there = ::stat(place.path.c_str(), &status) == 0;
  if (!there && ::stat(place.path.parent_path().c_str(), &status) != 0) status = {};
  if (now && !file.changed.empty()) keep_copy(dev_folder / "replaced", file.path, *now);
  // A new file in its place would lose its other names, its labels and access lists.
  if (now && (status.st_nlink > 1 || ::listxattr(place.path.c_str(), nullptr, 0) > 0)) {
    const auto root = fs::canonical(project);
    write_in_place({root, place.path.lexically_relative(root).string(), *now, file.after.text()}, dev_folder / unfinished_writes);
    return;
  }
  io::AtomicFile written{place.path, there ? status.st_mode & 07777U : 0600U};
  if (::geteuid() == 0) written.give_to(status.st_uid, status.st_gid);
  written.write(file.after.text());
  // Once more, as late as can be: an editor may have saved in between.
  if (io::read_file_if_there(place.path) != file.before) {
    throw Failure{Exit::failed, fmt::format("\"{}\" was changed meanwhile", file.path), "codops setup-dev"};
  }
  written.commit(there ? io::AtomicFile::Existing::replace : io::AtomicFile::Existing::refuse);
}

}  // namespace codops::scaffold::dev

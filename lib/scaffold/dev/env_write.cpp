#include "lib/scaffold/dev/env_write.hpp"

#include <fmt/format.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/fd.hpp"
#include "lib/io/files.hpp"
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

[[noreturn]] void cannot_write(const EnvFile& file, int why, bool is_back) {
  throw Failure{Exit::failed, fmt::format("cannot write \"{}\": {}; {}", file.path, why == 0 ? "no room" : std::strerror(why), is_back ? "it is as it was" : "its last lines may be torn")};
}

bool write_whole(int fd, std::string_view bytes, off_t at) { return ::pwrite(fd, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()); }

// Over what is there, for one that has other names: a copy of it was kept before. All of it, or as it was.
void overwrite(const fs::path& path, const EnvFile& file) {
  const io::Fd fd{::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
  const auto& before = *file.before;
  const auto& after = file.after.text();
  std::string now(before.size() + 1, '\0');
  if (!fd) throw Failure{Exit::failed, fmt::format("cannot write \"{}\": {}", file.path, std::strerror(errno))};
  const auto got = ::pread(fd.get(), now.data(), now.size(), 0);
  if (got < 0 || std::string_view{now}.substr(0, static_cast<std::size_t>(got)) != before) throw Failure{Exit::failed, fmt::format("\"{}\" was changed meanwhile", file.path), "codops setup-dev"};
  errno = 0;
  if (write_whole(fd.get(), after, 0) && ::ftruncate(fd.get(), static_cast<off_t>(after.size())) == 0 && ::fsync(fd.get()) == 0) return;
  const int why = errno;
  cannot_write(file, why, write_whole(fd.get(), before, 0) && ::ftruncate(fd.get(), static_cast<off_t>(before.size())) == 0);
}

// A new file in its place would lose its other names, labels and access lists. All of it, or as it was.
void append(const fs::path& path, const EnvFile& file, std::string_view more) {
  const io::Fd fd{::open(path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC)};
  const auto size = static_cast<off_t>(file.before->size());
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw Failure{Exit::failed, fmt::format("cannot write \"{}\": {}", file.path, std::strerror(errno))};
  if (status.st_size != size) throw Failure{Exit::failed, fmt::format("\"{}\" was changed meanwhile", file.path), "codops setup-dev"};
  const auto written = ::write(fd.get(), more.data(), more.size());
  if (written == static_cast<ssize_t>(more.size()) && ::fsync(fd.get()) == 0) return;
  const int why = written >= 0 ? 0 : errno;
  cannot_write(file, why, ::ftruncate(fd.get(), size) == 0);
}

}  // namespace

std::optional<Unwritable> why_not_writable(const fs::path& project, const EnvFile& file) {
  Place place;
  return refused(project, file, place);
}

void write_env(const fs::path& project, const EnvFile& file, const fs::path& copies) {
  Place place;
  if (auto no = refused(project, file, place)) throw Failure{Exit::failed, std::move(no->why), std::move(no->hint)};
  const auto now = io::read_file_if_there(place.path);
  if (now != file.before) throw Failure{Exit::failed, fmt::format("\"{}\" was changed meanwhile", file.path), "codops setup-dev"};

  struct stat status {};
  const bool there = ::stat(place.path.c_str(), &status) == 0;
  if (!there && ::stat(place.path.parent_path().c_str(), &status) != 0) status = {};
  if (now && !file.changed.empty()) {
    io::make_folders(copies);
    auto name = file.path;
    for (char& c : name) c = c == '/' ? '_' : c;
    io::AtomicFile copy{copies / fmt::format("{}.{}", name, io::sha256_hex(*now).substr(0, 12))};
    copy.write(*now);
    copy.commit();
  }
  const bool grows = now && file.after.text().starts_with(*now);
  if (grows && (status.st_nlink > 1 || ::listxattr(place.path.c_str(), nullptr, 0) > 0)) {
    append(place.path, file, std::string_view{file.after.text()}.substr(now->size()));
    return;
  }
  if (now && status.st_nlink > 1) {
    overwrite(place.path, file);
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

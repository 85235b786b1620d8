#include "lib/store/directory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/store/lock_text.hpp"

namespace codops::store {
namespace fs = std::filesystem;
namespace {

class FileUpload final : public Upload {
 public:
  FileUpload(const fs::path& path, Limits limits) : file_{path}, limits_{std::move(limits)} {}
  void write(std::string_view bytes) override {
    limits_.check("writing a backup");
    file_.write(bytes);
  }
  void commit() override { file_.commit(); }
  std::uint64_t size() const override { return file_.size(); }

 private:
  io::AtomicFile file_;
  Limits limits_;
};

class FileReader final : public io::Reader {
 public:
  FileReader(const fs::path& path, Limits limits) : path_{path}, limits_{std::move(limits)} {
    fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd_) throw Failure{Exit::data, fmt::format("cannot read \"{}\": {}", path.string(), std::strerror(errno))};
  }
  std::size_t read(char* into, std::size_t size) override {
    limits_.check("reading a backup");
    for (;;) {
      const auto got = ::read(fd_.get(), into, size);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) {
        throw Failure{Exit::data, fmt::format("cannot read \"{}\": {}", path_.string(), std::strerror(errno))};
      }
    }
  }

 private:
  fs::path path_;
  Limits limits_;
  io::Fd fd_;
};

class FlockHeld final : public StoreLock {
 public:
  explicit FlockHeld(io::FileLock lock) : lock_{std::move(lock)} {}

 private:
  io::FileLock lock_;
};

[[noreturn]] void not_readable(const fs::path& path, const std::error_code& error) {
  throw Failure{Exit::failed, fmt::format("cannot read \"{}\": {}", path.string(), error.message()), "as the user that takes the backups, or look at backup.store"};
}

// Who holds a lock, for whoever meets it: the kernel knows that it is held, but not for whom to see.
void write_holder(const fs::path& path) {
  const io::Fd file{::open(path.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC)};
  const auto text = to_json(new_lock_text(SystemClock{}.now()));
  if (file && ::write(file.get(), text.data(), text.size()) < 0) return;  // a full disk: it is held all the same
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

}  // namespace

DirectoryStore::DirectoryStore(fs::path root) : root_{std::move(root)} {}

std::unique_ptr<Upload> DirectoryStore::create(const std::string& name, const Limits& limits, Retain) {
  check_name(name);
  io::make_folders((root_ / name).parent_path());
  return std::make_unique<FileUpload>(root_ / name, limits);
}

bool DirectoryStore::put_new(const std::string& name, std::string_view content, const Limits& limits) {
  check_name(name);
  limits.check("writing a backup");
  io::make_folders((root_ / name).parent_path());
  io::AtomicFile file{root_ / name};
  file.write(content);
  return file.commit_new();
}

std::unique_ptr<io::Reader> DirectoryStore::open(const std::string& name, const Limits& limits) {
  check_name(name);
  return std::make_unique<FileReader>(root_ / name, limits);
}

std::optional<Object> DirectoryStore::find(const std::string& name, const Limits&) {
  check_name(name);
  std::error_code error;
  const auto path = root_ / name;
  const auto status = fs::symlink_status(path, error);
  if (!fs::exists(status) && status.type() != fs::file_type::not_found) not_readable(path, error);
  if (!fs::is_regular_file(status)) return std::nullopt;
  const auto size = fs::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) return std::nullopt;
  if (error) not_readable(path, error);
  return Object{name, size};
}

std::vector<Object> DirectoryStore::list(const std::string& folder, const Limits& limits) {
  std::vector<Object> objects;
  std::vector<fs::path> folders{folder.empty() ? root_ : root_ / folder};
  while (!folders.empty()) {
    limits.check("listing backups");
    const auto at = std::move(folders.back());
    folders.pop_back();
    std::error_code error, none;
    fs::directory_iterator entry{at, error};
    // Not there, or removed by somebody meanwhile. One that may not be entered is no empty one.
    if (error == std::errc::no_such_file_or_directory) continue;
    if (error) not_readable(at, error);
    for (; entry != fs::directory_iterator{}; entry.increment(error)) {
      if (is_hidden(entry->path())) continue;
      if (entry->is_symlink(none)) continue;
      if (entry->is_directory(none)) folders.push_back(entry->path());
      // Somebody else may remove a file between reading the folder and asking for its size.
      if (!entry->is_regular_file(none)) continue;
      const auto size = entry->file_size(none);
      if (!none) objects.push_back({entry->path().lexically_relative(root_).string(), size});
    }
    if (error) not_readable(at, error);
  }
  std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return objects;
}

void DirectoryStore::remove(const std::string& name, const Limits&) {
  check_name(name);
  const auto path = root_ / name;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    throw Failure{Exit::failed, fmt::format("cannot remove \"{}\": {}", path.string(), std::strerror(errno))};
  }
  io::sync_folder(path.parent_path());
  std::error_code none;
  for (auto parent = path.parent_path(); parent != root_ && fs::is_empty(parent, none); parent = parent.parent_path()) {
    if (!fs::remove(parent, none)) break;
  }
}

void DirectoryStore::sweep(const std::string& folder, const Limits& limits) {
  const auto start = root_ / folder;
  std::error_code none;
  if (!fs::is_directory(start, none)) return;
  std::vector<fs::path> leftovers;
  bool other = false;
  for (const auto& entry : fs::directory_iterator{start}) {
    limits.check("sweeping backups");
    if (entry.is_directory(none) && !entry.is_symlink(none)) sweep((fs::path{folder} / entry.path().filename()).string(), limits);
    else if (is_hidden(entry.path()) && entry.path().extension() == ".tmp") leftovers.push_back(entry.path());
    else other = true;
  }
  if (other) return;
  for (const auto& path : leftovers) fs::remove(path, none);
  if (start != root_ && fs::is_empty(start, none)) fs::remove(start, none);
}

std::unique_ptr<StoreLock> DirectoryStore::try_lock(const std::string& name, const Limits&, LockHolder* holder) {
  check_name(name);
  auto path = root_ / name;
  path.replace_filename("." + path.filename().string() + ".lock");
  io::make_folders(path.parent_path());
  auto lock = io::FileLock::try_take(path);
  if (lock) {
    write_holder(path);
    return std::make_unique<FlockHeld>(std::move(*lock));
  }
  if (holder != nullptr) *holder = parse_lock_text(io::read_file_if_there(path, 4096).value_or("")).holder;
  return nullptr;
}

}  // namespace codops::store

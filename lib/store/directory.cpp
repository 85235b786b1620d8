#include "lib/store/directory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"

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

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

}  // namespace

DirectoryStore::DirectoryStore(fs::path root) : root_{std::move(root)} {}

std::unique_ptr<Upload> DirectoryStore::create(const std::string& name, const Limits& limits) {
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
  try {
    file.commit(io::AtomicFile::Existing::refuse);
  } catch (const Failure&) {
    if (find(name, limits)) return false;
    throw;
  }
  return true;
}

std::unique_ptr<io::Reader> DirectoryStore::open(const std::string& name, const Limits& limits) {
  check_name(name);
  return std::make_unique<FileReader>(root_ / name, limits);
}

std::optional<Object> DirectoryStore::find(const std::string& name, const Limits&) {
  check_name(name);
  std::error_code none;
  const auto path = root_ / name;
  if (!fs::is_regular_file(fs::symlink_status(path, none))) return std::nullopt;
  return Object{name, fs::file_size(path)};
}

std::vector<Object> DirectoryStore::list(const std::string& folder, const Limits& limits) {
  std::vector<Object> objects;
  const auto start = folder.empty() ? root_ : root_ / folder;
  std::error_code none;
  if (!fs::is_directory(start, none)) return objects;
  for (auto at = fs::recursive_directory_iterator{start}; at != fs::recursive_directory_iterator{}; ++at) {
    limits.check("listing backups");
    if (is_hidden(at->path())) {
      at.disable_recursion_pending();
      continue;
    }
    // Somebody else may remove a file between reading the folder and asking for its size.
    if (!at->is_regular_file(none) || at->is_symlink(none)) continue;
    const auto size = at->file_size(none);
    if (!none) objects.push_back({at->path().lexically_relative(root_).string(), size});
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

std::unique_ptr<StoreLock> DirectoryStore::try_lock(const std::string& name, const Limits&) {
  check_name(name);
  auto path = root_ / name;
  path.replace_filename("." + path.filename().string() + ".lock");
  io::make_folders(path.parent_path());
  auto lock = io::FileLock::try_take(path);
  if (!lock) return nullptr;
  return std::make_unique<FlockHeld>(std::move(*lock));
}

}  // namespace codops::store

#include "lib/scaffold/dev/kept_modules.hpp"

#include <fmt/format.h>

#include <system_error>
#include <vector>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

// A link too, wherever it leads.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

}  // namespace

KeptModules::KeptModules(const fs::path& folder, const fs::path& project, const Package& package)
    : modules_{project / package.directory / "node_modules"}, folder_{folder} {
  const auto name = package.directory.empty() ? std::string{"root"} : io::sha256_hex(package.directory).substr(0, 12);
  kept_ = folder / ("modules-" + name);
  gone_ = folder / ("modules-gone-" + name);
}

bool KeptModules::is_aside() const { return is_there(kept_); }

// By a rename first: whatever still writes into it (a child of a manager that was killed) does not reach what takes its place.
void KeptModules::discard(const fs::path& what) { fs::rename(what, gone_.string() + "-" + io::to_hex(io::random_bytes(4))); }

void KeptModules::sweep() const noexcept {
  try {
    std::vector<fs::path> old;
    std::error_code error;
    for (auto entry = fs::directory_iterator{folder_, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
      if (entry->path().filename().string().starts_with(gone_.filename().string() + "-")) old.push_back(entry->path());
    }
    for (const auto& path : old) fs::remove_all(path, error);
  } catch (const std::exception&) {
    // It is in nobody's way: a later install tries again.
  }
}

void KeptModules::recover(bool present_is_whole) {
  sweep();
  if (!is_aside()) return;
  if (present_is_whole) let_go();
  else put_back();
}

bool KeptModules::put_aside() {
  if (!is_there(modules_)) return false;
  std::error_code error;
  fs::rename(modules_, kept_, error);
  if (!error) return true;
  if (error == std::errc::cross_device_link || error == std::errc::device_or_resource_busy) return false;
  throw Failure{Exit::failed, fmt::format("cannot put \"{}\" aside as \"{}\": {}; it is as it was", modules_.string(), kept_.string(), error.message()),
                "make both folders writable, then codops setup-dev"};
}

bool KeptModules::put_back() {
  if (!is_aside()) return false;
  try {
    if (is_there(modules_)) discard(modules_);
    fs::rename(kept_, modules_);
  } catch (const fs::filesystem_error& failure) {
    throw Failure{Exit::failed, fmt::format("cannot put node_modules back: {}; the one from before is \"{}\"", failure.code().message(), kept_.string()),
                  fmt::format("codops setup-dev tries again; by hand: move it to \"{}\"", modules_.string())};
  }
  sweep();
  return true;
}

void KeptModules::let_go() noexcept {
  try {
    if (is_aside()) discard(kept_);
  } catch (const std::exception&) {
    // It stays aside: the next install looks again.
  }
  sweep();
}

}  // namespace codops::scaffold::dev

#include "lib/scaffold/dev/ledger.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"
#include "lib/scaffold/dev/json_fields.hpp"
#include "lib/scaffold/dev/ports.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;
using Ordered = nlohmann::ordered_json;

constexpr std::string_view ledger_file = "ledger.json", lock_file = "lock", owner_file = "owner.json";

// Traversable by others when root makes it: the servers run as users of their own.
void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0) {
    if (::geteuid() == 0) ::chmod(folder.c_str(), 0711);
  } else if (errno != EEXIST) {
    throw Failure{Exit::failed, fmt::format("cannot create \"{}\": {}", folder.string(), std::strerror(errno)), "make the checkout writable, or use a clone of your own"};
  }
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    throw Failure{Exit::failed, fmt::format("\"{}\" is no folder", folder.string()), "move it away"};
  }
}

void write_owner(const fs::path& folder, const std::string& command) {
  // Only for whoever waits, while this run lives: neither atomic nor durable, and a full disk shows where it matters.
  const Ordered owner{{"pid", ::getpid()}, {"command", command}, {"since", to_rfc3339(SystemClock{}.now())}};
  const io::Fd fd{::open((folder / owner_file).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)};
  const auto text = owner.dump() + "\n";
  [[maybe_unused]] const auto written = fd ? ::write(fd.get(), text.data(), text.size()) : 0;
}

std::string owner_of(const fs::path& folder) {
  const auto text = io::read_file_if_there(folder / owner_file, 4096).value_or("");
  const auto json = Ordered::parse(text, nullptr, false);
  if (text_of(json, "command").empty()) return "another run";
  std::string age;
  if (const auto since = parse_rfc3339(text_of(json, "since"))) {
    age = ", begun " + format_age(std::chrono::duration_cast<Milliseconds>(SystemClock{}.now() - *since));
  }
  return fmt::format("\"{}\" (pid {}{})", text_of(json, "command"), number_of(json, "pid"), age);
}

}  // namespace

fs::path dev_folder(const fs::path& project) {
  const auto outer = project / ".codops";
  for (const auto& folder : {outer, outer / "dev"}) {
    std::error_code error;
    if (fs::is_symlink(fs::symlink_status(folder, error))) {
      throw Failure{Exit::failed, fmt::format("\"{}\" is a link: servers and secrets of this checkout are not kept behind one", folder.string()),
                    "remove the link"};
    }
  }
  const auto folder = outer / "dev";
  // Two users' servers in one checkout: neither could read, stop or recover the other's.
  struct stat status {};
  if (::stat(folder.c_str(), &status) == 0 && status.st_uid != ::geteuid()) {
    const auto owner = user_name(status.st_uid);
    throw Failure{Exit::failed, fmt::format("the development environment of this checkout is user \"{}\"'s (\"{}\"), and this is user \"{}\"", owner, folder.string(), user_name(::geteuid())),
                  fmt::format("go on as \"{}\", or use a clone of your own", owner)};
  }
  return folder;
}

void make_dev_folder(const fs::path& project) {
  const auto folder = dev_folder(project);
  if (fs::exists(folder / ".gitignore") && fs::is_directory(folder)) return;
  make_folder(folder.parent_path());
  make_folder(folder);
  io::write_file(folder / ".gitignore", "*\n", 0644);
}

Ledger::Ledger(fs::path folder) : folder_{std::move(folder)} {
  const auto text = io::read_file_if_there(folder_ / ledger_file);
  const auto json = text ? Ordered::parse(*text, nullptr, false) : Ordered{};
  if (number_of(json, "format") != 1) return;
  const auto done = json.find("done");
  if (done == json.end() || !done->is_object()) return;
  for (const auto& [key, entry] : done->items()) {
    if (entry.is_object()) done_[key] = {text_of(entry, "inputs"), text_of(entry, "note")};
  }
}

std::optional<Done> Ledger::find(const std::string& key) const {
  const std::lock_guard guard{mutex_};
  const auto found = done_.find(key);
  return found == done_.end() ? std::nullopt : std::optional{found->second};
}

bool Ledger::is(const std::string& key, const std::string& inputs) const {
  const auto found = find(key);
  return found && found->inputs == inputs;
}

void Ledger::remember(const std::string& key, Done done) {
  const std::lock_guard guard{mutex_};
  done_[key] = std::move(done);
  dirty_ = true;
}

void Ledger::put(const std::string& key, Done done) {
  const std::lock_guard guard{mutex_};
  done_[key] = std::move(done);
  write_locked();
}

void Ledger::drop(const std::string& key) {
  const std::lock_guard guard{mutex_};
  if (done_.erase(key) != 0) write_locked();
}

void Ledger::save() {
  const std::lock_guard guard{mutex_};
  if (dirty_ && fs::is_directory(folder_)) write_locked();
}

void Ledger::clear() {
  const std::lock_guard guard{mutex_};
  done_.clear();
  write_locked();
}

void Ledger::write_locked() {
  Ordered json{{"format", 1}, {"done", Ordered::object()}};
  for (const auto& [key, done] : done_) json["done"][key] = {{"inputs", done.inputs}, {"note", done.note}};
  io::write_file(folder_ / ledger_file, json.dump(1) + "\n");
  dirty_ = false;
}

RunLock RunLock::take(const fs::path& folder, const std::string& command, Milliseconds wait, Reporter& reporter, const Limits& limits) {
  const auto bounded = limits.within(wait);
  Backoff backoff{Milliseconds{20}, Milliseconds{500}};
  for (bool told = false;; told = true) {
    if (auto lock = io::FileLock::try_take(folder / lock_file)) {
      write_owner(folder, command);
      return RunLock{std::move(*lock)};
    }
    if (!told) reporter.note(fmt::format("waits for {}", owner_of(folder)));
    if (backoff.wait(bounded)) continue;
    throw Failure{Exit::locked, fmt::format("this checkout is being worked on by {}", owner_of(folder)), "wait for it, or end it"};
  }
}

}  // namespace codops::scaffold::dev

#include "lib/scaffold/dev/local_postgres.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/io/process_detached.hpp"
#include "lib/scaffold/dev/ports.hpp"
#include "lib/scaffold/dev/tools.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

constexpr int password_fd = 9;
// initdb cuts longer paths (PostgreSQL's MAXPGPATH), and fails on what is left. The server itself is given none.
constexpr std::size_t longest_path = 1024, longest_inside = 80;

// By major, newest first.
std::vector<std::pair<int, fs::path>> installed() {
  std::vector<std::pair<int, fs::path>> found;
  const auto add = [&](int major, const fs::path& folder) {
    if (io::find_program((folder / "postgres").string()) && io::find_program((folder / "initdb").string())) found.emplace_back(major, folder);
  };
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", error}) add(std::atoi(entry.path().filename().c_str()), entry.path() / "bin");
  for (int major = 30; major > 9; --major) add(major, fmt::format("/usr/pgsql-{}/bin", major));
  if (found.empty()) {
    if (const auto program = io::find_program("postgres")) add(0, program->parent_path());
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  return found;
}

std::map<std::string, std::string> server_environment() {
  auto environment = io::usual_environment();
  environment["LC_ALL"] = "C.UTF-8";
  environment.erase("TMPDIR");
  return environment;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += "\n  │ " + line;
  return text;
}

}  // namespace

LocalPostgres::LocalPostgres(const fs::path& project)
    : project_{project},
      folder_{servers_folder(project) / "postgres"},
      data_{folder_ / "data"},
      log_{dev_folder(project) / "postgres.log"},
      secret_{dev_folder(project) / "postgres.secret"},
      place_{dev_folder(project) / "postgres.place"} {}

bool LocalPostgres::has_data() const {
  struct stat status {};
  return ::stat((data_ / "PG_VERSION").c_str(), &status) == 0;
}

std::string LocalPostgres::major() const {
  auto text = io::read_file_if_there(data_ / "PG_VERSION", 64).value_or("");
  return text.substr(0, text.find('\n'));
}

std::optional<fs::path> LocalPostgres::programs() const {
  const auto all = installed();
  if (all.empty()) return std::nullopt;
  if (!has_data()) return all.front().second;
  const int wanted = std::atoi(major().c_str());
  for (const auto& [number, folder] : all) {
    if (number == wanted || number == 0) return folder;
  }
  return std::nullopt;
}

std::string LocalPostgres::trouble(std::string& hint) const {
  if (auto elsewhere = data_elsewhere(project_, "postgres", "data/PG_VERSION", hint); !elsewhere.empty()) return elsewhere;
  if (!has_data() && data_.string().size() + longest_inside > longest_path) {
    hint = "use a clone at a shorter path, or an engine: --backend docker";
    return fmt::format("this checkout's path is too long for PostgreSQL: its data folder's would have {} characters, and {} is the most", data_.string().size(), longest_path - longest_inside);
  }
  if (!programs()) {
    if (has_data()) {
      hint = fmt::format("install PostgreSQL {0}: {1}", major(), package_hint({"postgresql-" + major()}));
      return fmt::format("the data in \"{}\" is PostgreSQL {}'s, which is not installed", data_.string(), major());
    }
    hint = package_hint({"postgresql"}) + ", or use an engine: --backend docker";
    return "PostgreSQL's server is not installed here";
  }
  // initdb wants a name for whoever runs it, which a container's made-up user has not.
  if (!has_data() && ::getpwuid(::geteuid()) == nullptr) {
    hint = "run setup-dev as a user of /etc/passwd, or use an engine: --backend docker";
    return fmt::format("PostgreSQL needs a user with a name, and number {} has none here", ::geteuid());
  }
  if (auto copied = copied_from_running(hint); !copied.empty()) return copied;
  if (has_data() && io::read_file_if_there(secret_, 4096).value_or("").find_first_not_of('\n') == std::string::npos) {
    hint = fmt::format("move \"{}\" away, then codops setup-dev", data_.string());
    return fmt::format("the password of the data in \"{}\" is gone: \"{}\" is missing or empty", data_.string(), secret_.string());
  }
  try {
    const auto who = run_as("postgres");
    for (const auto& path : {folder_, data_}) {
      std::error_code error;
      // The outer one is given to its user before each start.
      if (path == folder_ && !fs::is_symlink(fs::symlink_status(path, error))) continue;
      if (auto why = unusable_data(path, who, hint); !why.empty()) return why;
    }
  } catch (const Failure& failure) {
    hint = failure.hint();
    return failure.message();
  }
  return {};
}

std::optional<ServerProcess> LocalPostgres::process() const { return ServerProcess::find(data_ / "postmaster.pid", data_, "postgres"); }

std::uint16_t LocalPostgres::port_in_use() const {
  if (!process()) return 0;
  // postmaster.pid: pid, data folder, start time, port, …
  auto text = io::read_file_if_there(data_ / "postmaster.pid", 4096).value_or("");
  for (int line = 0; line < 3; ++line) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  return static_cast<std::uint16_t>(std::atoi(text.c_str()));
}

// "INODE PATH". A folder that was moved is still the same one.
void LocalPostgres::note_place() const {
  struct stat own {};
  if (!process() || ::stat(data_.c_str(), &own) != 0) return;
  const auto text = fmt::format("{} {}\n", own.st_ino, data_.string());
  if (io::read_file_if_there(place_, 8192).value_or("") != text) io::write_file(place_, text);
}

// A server that crashed recovers; files that were copied one after the other while it wrote do not fit together. Where both folders are
// called the same, a backup was played back: that is for whoever did it to judge.
std::string LocalPostgres::copied_from_running(std::string& hint) const {
  struct stat own {};
  std::error_code error;
  const auto text = io::read_file_if_there(place_, 8192).value_or("");
  const auto space = text.find(' ');
  if (space == std::string::npos || !fs::exists(data_ / "postmaster.pid", error) || ::stat(data_.c_str(), &own) != 0) return {};
  const fs::path there{text.substr(space + 1, text.find('\n') - space - 1)};
  if (text.substr(0, space) == std::to_string(own.st_ino) || there == data_) return {};
  const auto anew = std::string{"begin with an empty database: codops setup-dev --reset --remap"};
  if (!fs::exists(there, error)) {
    hint = fmt::format("let PostgreSQL recover what it can: rm \"{}\", then codops setup-dev; or {}", (data_ / "postmaster.pid").string(), anew);
  } else {
    const bool usual = there.string().ends_with("/.codops/dev/postgres/data");
    hint = fmt::format("{}, then copy it again; or give up this copy and {}",
                       usual ? fmt::format("(cd \"{}\" && codops setup-dev --down)", there.parent_path().parent_path().parent_path().parent_path().string()) : std::string{"end that server"}, anew);
  }
  return fmt::format("\"{}\" was copied from \"{}\" while its server had it open: such files need not fit together", data_.string(), there.string());
}

Secret LocalPostgres::superuser_password() const {
  auto text = io::read_file(secret_, 4096);
  return Secret{text.substr(0, text.find('\n'))};
}

void LocalPostgres::initialise(const fs::path& programs, const Limits& limits) {
  const auto who = run_as("postgres");
  std::error_code ignored;
  // What an interrupted run left; its initdb, should it still run, fails without its folder.
  for (const auto& entry : fs::directory_iterator{folder_, ignored}) {
    if (entry.path().filename().string().starts_with("new-")) fs::remove_all(entry.path(), ignored);
  }
  // The one that is there may be that of data which only another path of this checkout finds again.
  auto known = io::read_file_if_there(secret_, 4096).value_or("");
  known = known.substr(0, known.find('\n'));
  const Secret password{known.empty() ? io::to_hex(io::random_bytes(16)) : known};
  if (known.empty()) io::write_file(secret_, password.reveal() + "\n");
  const auto made = folder_ / ("new-" + io::to_hex(io::random_bytes(6)));
  const auto file = io::memory_file(password.reveal() + "\n");
  if (!who.user.empty() && ::fchown(file.get(), who.uid, who.gid) != 0) throw Failure{Exit::failed, "cannot hand the password to initdb"};
  io::Program program{argv_as(who, {(programs / "initdb").string(), "-D", made.string(), "-U", superuser, "--auth=scram-sha-256",
                                    fmt::format("--pwfile=/proc/self/fd/{}", password_fd), "--encoding=UTF8", "--locale=C.UTF-8"}, true),
                      server_environment(), {}, "/"};
  program.pass.push_back({file.get(), password_fd});
  std::string said;
  const auto outcome = io::run(program, {{}, [&](std::string_view bytes) { said.append(bytes.substr(0, 4096)); }, {}}, limits);
  if (!outcome.status.success()) {
    fs::remove_all(made, ignored);
    throw Failure{Exit::failed, fmt::format("initdb {}:\n  │ {}", outcome.status.text(), outcome.error_tail)};
  }
  fs::rename(made, data_);
  io::sync_folder(folder_);
}

void LocalPostgres::start(std::uint16_t port, const Limits& limits) {
  const auto folder = programs();
  std::string hint;
  if (auto why = trouble(hint); !why.empty() || !folder) throw Failure{Exit::unavailable, std::move(why), hint};
  const auto who = run_as("postgres");
  make_servers_folder(project_);
  make_server_folder(folder_, who);
  if (!has_data()) initialise(*folder, limits);
  // After a crash and a restart of the machine: PostgreSQL refuses to start while anybody of its user has the number in its pid file.
  if (const auto pid_file = data_ / "postmaster.pid"; ServerProcess::is_used_again(pid_file, data_)) {
    std::error_code gone;
    fs::remove(pid_file, gone);
  }
  const auto log = open_log(log_);
  // By the folder that it works in, whatever that is called later: PostgreSQL writes some files by this name, and the path of a checkout
  // that was moved may be another one's by then.
  const auto pid = io::start_detached({argv_as(who, {(*folder / "postgres").string(), "-D", "/proc/self/cwd", "-c", fmt::format("port={}", port), "-c",
                                    "listen_addresses=127.0.0.1,::1", "-c", "unix_socket_directories=", "-c", "shared_buffers=32MB", "-c",
                                    "max_connections=100", "-c", "jit=off", "-c", "logging_collector=off"}, false),
                      server_environment(), {}, data_},
                     -1, log.get());
  started_.emplace(Started{io::Fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))}});
}

bool LocalPostgres::start_ended() const {
  if (!started_) return false;
  pollfd watched{started_->pidfd.get(), POLLIN, 0};
  return !started_->pidfd || ::poll(&watched, 1, 0) > 0;
}

io::postgres::Target LocalPostgres::admin(std::uint16_t port) const {
  io::postgres::Target target;
  target.host = "127.0.0.1";
  target.port = std::to_string(port);
  target.user = superuser;
  target.database = "postgres";
  target.password = superuser_password();
  return target;
}

// It says "ready" in its pid file's eighth line.
bool LocalPostgres::is_ready() const {
  auto text = io::read_file_if_there(data_ / "postmaster.pid", 4096).value_or("");
  for (int line = 0; line < 7; ++line) text.erase(0, std::min(text.find('\n'), text.size() - std::min<std::size_t>(text.size(), 1)) + 1);
  return text.starts_with("ready");
}

bool LocalPostgres::listens_at(std::uint16_t port) const {
  const auto running = process();
  return running && listens(running->pid(), port, "127.0.0.1");
}

void LocalPostgres::wait_ready(std::uint16_t port, const Limits& limits) const {
  const auto target = admin(port);
  const auto bounded = limits.within(Milliseconds{60'000});
  Backoff backoff{Milliseconds{10}, Milliseconds{200}};
  bool seen = false;
  std::string last = "it does not listen yet";
  const auto since = std::chrono::steady_clock::now();
  const auto begun = Deadline::after(Milliseconds{5'000});
  for (;;) {
    const auto running = process();
    seen = seen || running;
    if (running && listens(running->pid(), port, "127.0.0.1")) {
      try {
        for (int twice = 0; twice < 2; ++twice) io::postgres::Connection::open(target, bounded.within(Milliseconds{2'000})).query("SELECT 1", bounded);
        note_place();
        return;
      } catch (const io::postgres::DatabaseError& error) {
        if (error.code() == Exit::config) throw;
        last = error.message();
      } catch (const Failure& failure) {
        if (failure.code() != Exit::deadline) throw;
        last = "no answer in 2 s";
      }
    } else if (running && is_ready() && !listens(running->pid(), port, "127.0.0.1")) {
      // It starts with any one of its addresses: the one in the URLs is somebody else's, who would get the application's password.
      stop(Limits{});
      const auto holder = holder_of(port, "127.0.0.1");
      throw Failure{Exit::failed, fmt::format("port {} of 127.0.0.1 was taken{} while PostgreSQL started: it was stopped again", port, holder ? " by " + holder->text() : ""),
                    "end that process, or let codops move to a free port: codops setup-dev --remap"};
    } else if (!running && (seen || start_ended() || begun.expired())) {
      const auto holder = holder_of(port, "127.0.0.1");
      throw Failure{Exit::failed, "PostgreSQL ended while it started:" + joined(last_lines(log_, 8)),
                    holder ? fmt::format("port {} is taken by {}: end it, or codops setup-dev --remap", port, holder->text()) : "codops dev logs postgres"};
    }
    if (!backoff.wait(bounded)) {
      const auto waited = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - since).count();
      throw Failure{Exit::failed, fmt::format("PostgreSQL is not ready after {} s: {}{}", waited, last, joined(last_lines(log_, 8))), "codops dev logs postgres"};
    }
  }
}

void LocalPostgres::stop(const Limits& limits) const {
  const auto running = process();
  if (!running) return;
  running->signal(SIGINT);
  if (running->wait_ended(limits.within(Milliseconds{20'000}))) return;
  // Immediate: it recovers from its log at the next start.
  running->signal(SIGQUIT);
  if (!running->wait_ended(limits.within(Milliseconds{10'000}))) {
    throw Failure{Exit::failed, fmt::format("PostgreSQL (pid {}) does not end", running->pid())};
  }
}

void LocalPostgres::remove() {
  if (process()) throw Failure{Exit::bug, "PostgreSQL still runs"};
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) throw Failure{Exit::failed, fmt::format("cannot remove \"{}\": {}", folder_.string(), error.message())};
  fs::remove(secret_, error);
}

}  // namespace codops::scaffold::dev

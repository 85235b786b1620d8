#include "lib/release/lock.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <future>
#include <mutex>
#include <sstream>
#include <thread>

#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"

namespace codops::release {
namespace {

std::string first_line_of(const char* path) {
  std::ifstream file{path};
  std::string line;
  std::getline(file, line);
  return line;
}

// What proc(5) says in /proc/PID/stat of a process; start_time 0: it can't be read.
struct Stat {
  char state{};
  std::int64_t threads{};
  std::uint64_t start_time{};

  // A zombie whose last thread is gone writes nothing any more; its parent may take its time to hear of it (an init that doesn't, in a
  // container of CI). One thread that hangs in the kernel keeps it alive.
  bool dead() const { return state == 'Z' && threads <= 1; }
};

// Fields 3, 20 and 22: those after the command's name, which is in parentheses and may hold anything.
Stat stat_of(std::int64_t pid) {
  const auto line = first_line_of(fmt::format("/proc/{}/stat", pid).c_str());
  Stat stat;
  const auto close = line.rfind(')');
  if (close == std::string::npos) return stat;
  std::istringstream fields{line.substr(close + 1)};
  std::string field;
  for (int number = 3; number <= 22 && fields >> field; ++number) {
    if (number == 3) stat.state = field.front();
    if (number == 20) stat.threads = std::strtoll(field.c_str(), nullptr, 10);
    if (number == 22) stat.start_time = std::strtoull(field.c_str(), nullptr, 10);
  }
  return stat;
}

std::string owner_name() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string{value};
  };
  if (auto user = variable("CODOPS_USER"); !user.empty()) return user;
  if (auto run = variable("GITHUB_RUN_ID"); !run.empty()) return "CI run " + run;
  if (auto job = variable("CI_JOB_ID"); !job.empty()) return "CI job " + job;
  if (const passwd* entry = ::getpwuid(::getuid()); entry != nullptr) return entry->pw_name;
  return fmt::format("uid {}", ::getuid());
}

constexpr Milliseconds heartbeat_deadline{4000};
constexpr Milliseconds look_for_signal{50};
// Of an engine that hangs; what the signal asks for has to fit into 7 s.
constexpr Milliseconds patience_after_signal{4000};

// Which of them it was can't be told from here: the engine only says that there is no such lock any more.
Failure lock_gone() {
  return {Exit::locked, "the lock of this run is gone: another run took it over, or it was removed (by codops unlock, or from the engine by hand)",
          "this run stops here and changes nothing more; the next changing command recovers what it had begun"};
}

}  // namespace

target::LockOwner this_process(std::string command) {
  target::LockOwner owner;
  owner.owner = owner_name();
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  owner.host = host.data();
  owner.command = std::move(command);
  owner.boot_id = first_line_of("/proc/sys/kernel/random/boot_id");
  std::array<char, 64> link{};
  const auto length = ::readlink("/proc/self/ns/pid", link.data(), link.size() - 1);
  owner.pid_namespace = length > 0 ? std::string{link.data(), static_cast<std::size_t>(length)} : std::string{};
  owner.pid = ::getpid();
  owner.start_time = stat_of(owner.pid).start_time;
  return owner;
}

bool process_alive(std::int64_t pid, std::uint64_t start_time) {
  if (const auto found = stat_of(pid); found.start_time != 0) return found.start_time == start_time && !found.dead();
  // Not there, or hidden from this user (/proc with hidepid): the kernel tells the two apart.
  return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

Verdict judge(const target::LockState& state, const target::LockOwner& here,
              const std::function<bool(std::int64_t, std::uint64_t)>& alive) {
  const bool can_see_it = !here.boot_id.empty() && state.owner.boot_id == here.boot_id &&
                          state.owner.pid_namespace == here.pid_namespace;
  if (can_see_it && !alive(state.owner.pid, state.owner.start_time)) return Verdict::holder_dead;
  const auto last = std::max(state.heartbeat.value_or(state.owner.since), state.owner.since);
  return state.engine_now - last > stale_after ? Verdict::heartbeat_old : Verdict::fresh;
}

std::string describe(const target::LockState& state) {
  const auto last = std::max(state.heartbeat.value_or(state.owner.since), state.owner.since);
  return fmt::format("{} on {} (pid {}) runs \"{}\", started {}, last heartbeat {}", state.owner.owner, state.owner.host,
                     state.owner.pid, state.owner.command, format_age(state.engine_now - state.owner.since),
                     format_age(state.engine_now - last));
}

struct HeldLock::State {
  std::unique_ptr<target::LockPrimitive> primitive;
  std::mutex using_primitive;
  std::string token;
  Milliseconds waited;
  const Clock& clock;
  std::atomic<bool> evicted{false};
  std::atomic<std::int64_t> last_accepted;  // the heartbeat; Clock::since_boot
  std::atomic<std::int64_t> last_seen;      // the lock, by whatever was written: never before last_accepted
  CancelSource stop;
  std::thread heartbeat;

  State(std::unique_ptr<target::LockPrimitive> primitive_, std::string token_, Milliseconds waited_, const Clock& clock_)
      : primitive{std::move(primitive_)}, token{std::move(token_)}, waited{waited_}, clock{clock_}, last_accepted{clock_.since_boot().count()}, last_seen{last_accepted.load()} {}

  void beat(const std::vector<target::StateStore::File>& files, const Limits& limits) {
    const std::lock_guard guard{using_primitive};
    // Taken before the call: what counts is when the engine could have seen it at the earliest.
    const auto asked = clock.since_boot().count();
    if (primitive->heartbeat(token, files, limits)) last_seen = last_accepted = asked;
    else evicted = true;
  }

  void write(const std::vector<target::StateStore::File>& files, const Limits& limits) {
    {
      const std::lock_guard guard{using_primitive};
      const auto asked = clock.since_boot().count();
      if (const auto written = primitive->write_new(token, files, limits)) {
        if (*written) last_seen = asked;
        else evicted = true;
        return;
      }
    }
    beat(files, limits);
  }

  // false: nothing can be told by looking.
  bool look(const Limits& limits) {
    const std::lock_guard guard{using_primitive};
    const auto asked = clock.since_boot().count();
    const auto there = primitive->holds(token, limits);
    if (!there) return false;
    if (*there) last_seen = asked;
    else evicted = true;
    return true;
  }

  void keep_beating() {
    const Limits until_stop{Deadline::never(), stop.token()};
    while (!evicted) {
      try {
        until_stop.within(heartbeat_every).wait(-1, 0);
        beat({}, until_stop.within(heartbeat_deadline));
      } catch (const Failure&) {
        // Stopped, or the engine does not answer: check() judges by the age of the last accepted one.
        if (stop.token().requested()) return;
      }
    }
  }
};

HeldLock::HeldLock(std::unique_ptr<target::LockPrimitive> primitive, std::string token, Milliseconds waited, const Clock& clock)
    : state_{std::make_unique<State>(std::move(primitive), std::move(token), waited, clock)} {
  state_->heartbeat = std::thread{[state = state_.get()] { state->keep_beating(); }};
}

HeldLock::~HeldLock() {
  state_->stop.cancel(Exit::interrupted);
  if (state_->heartbeat.joinable()) state_->heartbeat.join();
}

const std::string& HeldLock::token() const noexcept { return state_->token; }

Milliseconds HeldLock::waited() const noexcept { return state_->waited; }

void HeldLock::check(Milliseconds trusted) const {
  if (state_->evicted) {
    throw lock_gone();
  }
  const auto now = state_->clock.since_boot().count();
  const Milliseconds age{now - state_->last_accepted.load()};
  if (age <= mistrust_after && Milliseconds{now - state_->last_seen.load()} <= trusted) return;
  // Stopped for a while and continued: one look, or one heartbeat, decides whether the lock is still ours.
  try {
    const auto within = Limits{}.within(heartbeat_deadline);
    if (age > mistrust_after || !state_->look(within)) state_->beat({}, within);
  } catch (const Failure& failure) {
    if (age <= mistrust_after) return;  // nobody may call it stale yet
    throw Failure{Exit::locked, fmt::format("the lock can't be kept: no heartbeat was accepted for {}: {}",
                                            format_duration(age), failure.message())};
  }
  if (state_->evicted) {
    throw lock_gone();
  }
}

void HeldLock::write(const std::vector<target::StateStore::File>& files, const Limits& limits) {
  state_->write(files, limits);
  check();
}

void HeldLock::write_whole(const std::vector<target::StateStore::File>& files, const Limits& limits) {
  limits.check("the run");
  CancelSource cut;
  auto written = std::async(std::launch::async, [&] { write(files, {limits.deadline, cut.token()}); });
  while (written.wait_for(look_for_signal) != std::future_status::ready) {
    if (!limits.cancel.requested()) continue;
    if (written.wait_for(patience_after_signal) != std::future_status::ready) cut.cancel(Exit::interrupted);
    break;
  }
  try {
    written.get();
  } catch (const Failure&) {
    if (cut.token().requested()) limits.cancel.check();
    throw;
  }
}

void HeldLock::release(const Limits& limits) {
  state_->stop.cancel(Exit::interrupted);
  if (state_->heartbeat.joinable()) state_->heartbeat.join();
  state_->primitive->remove(state_->token, limits);
}

std::unique_ptr<HeldLock> acquire(const std::function<std::unique_ptr<target::LockPrimitive>()>& connect,
                                  const target::LockOwner& owner, const AcquireOptions& options, const Clock& clock,
                                  Reporter& reporter, const Limits& limits) {
  auto primitive = connect();
  const auto give_up = Deadline::after(options.wait);
  Backoff backoff{Milliseconds{200}, Milliseconds{2000}};
  bool told = false;
  std::optional<std::chrono::steady_clock::time_point> refused;
  for (;;) {
    if (auto token = primitive->try_create(owner, limits)) {
      const auto waited = refused ? std::chrono::duration_cast<Milliseconds>(clock.steady() - *refused) : Milliseconds{};
      return std::make_unique<HeldLock>(std::move(primitive), std::move(*token), waited, clock);
    }
    if (!refused) refused = clock.steady();
    const auto state = primitive->inspect(limits);
    if (!state) continue;  // released between the two calls
    const auto verdict = judge(*state, owner, process_alive);
    if (verdict != Verdict::fresh) {
      reporter.warn(fmt::format("took over the lock of a run that {}: {}",
                                verdict == Verdict::holder_dead ? "died" : "went silent", describe(*state)));
      primitive->remove(state->token, limits);
      continue;
    }
    if (give_up.expired()) {
      throw Failure{Exit::locked, "another run holds the lock: " + describe(*state),
                    options.environment.empty() ? "wait until it has ended"
                                                : fmt::format("--lock-wait 10m waits for it; if it is known to be dead: codops unlock {}", options.environment)};
    }
    if (!told) reporter.note("waiting for the lock: " + describe(*state));
    told = true;
    const Limits until{limits.deadline.sooner(give_up), limits.cancel};
    if (!backoff.wait(until)) until.wait(-1, 0);
    limits.check("waiting for the lock");
  }
}

}  // namespace codops::release

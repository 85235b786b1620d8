#include "lib/engine/kubernetes/watch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "lib/base/retry.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/json_lines.hpp"
#include "lib/io/fd.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;
using What = WatchEvent::What;

// Events that wait for next(): a reader that is slow slows the servers down, not our memory up.
constexpr std::size_t most_waiting = 64;

struct KnownObject {
  std::string version, namespace_, name;
};

// The stream told us that it can't go on from where we are.
struct TooOld {};

}  // namespace

struct Watch::State {
  State(Api& api_, std::vector<WatchSpec> specs_, const WatchOptions& options_)
      : api{api_}, specs{std::move(specs_)}, options{options_}, ready{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    for (std::size_t i = 0; i < specs.size(); ++i) threads.emplace_back([this, i] { follow(i); });
  }
  ~State() {
    stop.cancel(Exit::interrupted);
    {
      const std::lock_guard lock{mutex};
      stopped = true;
    }
    room.notify_all();
  }

  void push(WatchEvent event) {
    std::unique_lock lock{mutex};
    room.wait(lock, [this] { return waiting.size() < most_waiting || stopped; });
    if (stopped) stop.token().check();
    waiting.push_back(std::move(event));
    signal();
  }
  void fail(std::exception_ptr reason) {
    const std::lock_guard lock{mutex};
    if (!failure) failure = std::move(reason);
    signal();
  }
  void signal() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(ready.get(), &one, sizeof one);
  }

  void follow(std::size_t which);

  Api& api;
  std::vector<WatchSpec> specs;
  WatchOptions options;
  CancelSource stop;
  io::Fd ready;
  std::mutex mutex;
  std::condition_variable room;
  std::deque<WatchEvent> waiting;
  std::exception_ptr failure;
  bool stopped{false};
  std::vector<std::jthread> threads;  // last: joined first
};

namespace {

// One spec on its thread.
class Follower {
 public:
  Follower(Api& api, const WatchSpec& spec, const WatchOptions& options, Limits limits, std::function<void(What, std::shared_ptr<const json>)> tell)
      : api_{api}, spec_{spec}, options_{options}, limits_{std::move(limits)}, tell_{std::move(tell)} {}

  // Returns never but by an exception: the cancellation's, or what ended the watch for good.
  void run() {
    Backoff backoff{Milliseconds{50}, Milliseconds{2'000}};
    std::optional<Deadline> outage;
    for (;;) {
      try {
        if (version_.empty()) list();
        outage.reset();
        const auto before = told_;
        watch();
        if (told_ != before) backoff = Backoff{Milliseconds{50}, Milliseconds{2'000}};
        else backoff.wait(limits_);  // a server that ends every watch at once
      } catch (const TooOld&) {
        version_.clear();
      } catch (const ApiError& error) {
        if (error.gone()) {
          version_.clear();
          continue;
        }
        // A server that has just started may not know its roles yet: 403 to who was welcome before.
        const bool forgot = error.status() == 403 && synced_;
        if (error.status() != 429 && error.status() < 500 && !forgot) throw;
        pause_or_throw(outage, backoff);
      } catch (const Failure& failure) {
        limits_.check("the watch");
        if (failure.code() != Exit::unavailable) throw;
        pause_or_throw(outage, backoff);
      }
    }
  }

 private:
  // Inside a catch block.
  void pause_or_throw(std::optional<Deadline>& outage, Backoff& backoff) const {
    if (!outage) outage = Deadline::after(options_.outage);
    if (outage->expired() || !backoff.wait({*outage, limits_.cancel})) throw;
  }

  void tell(What what, std::shared_ptr<const json> object) {
    ++told_;
    tell_(what, std::move(object));
  }

  // Tells what differs from what was told last.
  void list() {
    std::set<std::string> present;
    const auto version = api_.list(spec_.api_version, spec_.kind, spec_.namespace_, spec_.selection, [&](json&& object) {
      present.insert(text_at(object, {"metadata", "uid"}));
      note(std::move(object), What::added);
    }, limits_);
    for (auto known = known_.begin(); known != known_.end();) {
      if (present.contains(known->first)) {
        ++known;
        continue;
      }
      json last{{"apiVersion", spec_.api_version}, {"kind", spec_.kind}, {"metadata", {{"name", known->second.name}, {"uid", known->first}}}};
      if (!known->second.namespace_.empty()) last["metadata"]["namespace"] = known->second.namespace_;
      known = known_.erase(known);
      tell(What::deleted, std::make_shared<const json>(std::move(last)));
    }
    version_ = version;
    if (!std::exchange(synced_, true)) tell(What::synced, nullptr);
  }

  void note(json&& object, What what) {
    const auto uid = text_at(object, {"metadata", "uid"});
    auto version = text_at(object, {"metadata", "resourceVersion"});
    if (what == What::deleted) {
      if (known_.erase(uid) > 0) tell(what, std::make_shared<const json>(std::move(object)));
      return;
    }
    const auto [known, fresh] = known_.try_emplace(uid);
    if (known->second.version == version) return;
    known->second = {std::move(version), text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"})};
    tell(fresh ? What::added : What::modified, std::make_shared<const json>(std::move(object)));
  }

  void watch() {
    const auto kind = api_.resource(spec_.api_version, spec_.kind, limits_);
    // Spread, so that the watches of a cluster do not all end in one moment.
    constexpr int shortest = 300, longest = 600;
    const auto seconds = std::uniform_int_distribution<int>{shortest, longest}(random_);
    Call call{.path = kind.path(spec_.namespace_),
              .query = {{"watch", "true"}, {"resourceVersion", version_}, {"allowWatchBookmarks", "true"}, {"timeoutSeconds", std::to_string(seconds)}},
              .what = "watch " + kind.plural,
              .inactivity = options_.silence};
    if (!spec_.selection.labels.empty()) call.query.emplace_back("labelSelector", spec_.selection.labels);
    if (!spec_.selection.fields.empty()) call.query.emplace_back("fieldSelector", spec_.selection.fields);
    const auto stream = api_.client().open(call, limits_);
    JsonLines lines;
    for (auto bytes = stream->read(limits_); !bytes.empty(); bytes = stream->read(limits_)) {
      lines.feed(bytes);
      while (auto event = lines.next()) take(*event);
    }
    // Half an event at the end comes again: the next watch starts after the last whole one.
  }

  void take(json& event) {
    const auto type = text_at(event, {"type"});
    auto& object = event["object"];
    if (type == "ERROR") {
      const auto code = static_cast<int>(number_at(object, {"code"}));
      if (code == 410) throw TooOld{};
      throw api_error(code == 0 ? 500 : code, object.dump(), "watch " + spec_.kind);
    }
    if (auto version = text_at(object, {"metadata", "resourceVersion"}); !version.empty()) version_ = std::move(version);
    if (type == "ADDED" || type == "MODIFIED") note(std::move(object), What::modified);
    else if (type == "DELETED") note(std::move(object), What::deleted);
  }

  Api& api_;
  const WatchSpec& spec_;
  const WatchOptions& options_;
  Limits limits_;
  std::function<void(What, std::shared_ptr<const json>)> tell_;
  std::map<std::string, KnownObject> known_;  // by UID
  std::string version_;
  std::size_t told_{0};
  bool synced_{false};
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace

void Watch::State::follow(std::size_t which) {
  const Limits limits{Deadline::never(), stop.token()};
  Follower follower{api, specs[which], options, limits, [this, which](What what, std::shared_ptr<const json> object) {
                      push({which, what, std::move(object)});
                    }};
  try {
    follower.run();
  } catch (...) {
    fail(std::current_exception());
  }
}

Watch::Watch(Api& api, std::vector<WatchSpec> specs, const WatchOptions& options)
    : state_{std::make_unique<State>(api, std::move(specs), options)} {}
Watch::~Watch() = default;

WatchEvent Watch::next(const Limits& limits) {
  for (;;) {
    {
      const std::lock_guard lock{state_->mutex};
      if (!state_->waiting.empty()) {
        auto event = std::move(state_->waiting.front());
        state_->waiting.pop_front();
        state_->room.notify_all();
        return event;
      }
      if (state_->failure) std::rethrow_exception(state_->failure);
      std::uint64_t count = 0;
      [[maybe_unused]] const auto read = ::read(state_->ready.get(), &count, sizeof count);
    }
    limits.check("waiting for the cluster");
    limits.wait(state_->ready.get(), POLLIN);
  }
}

}  // namespace codops::engine::kubernetes

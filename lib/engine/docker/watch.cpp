#include "lib/engine/docker/watch.hpp"

#include <fmt/format.h>

#include "lib/base/retry.hpp"

namespace codops::engine::docker {
namespace {

// Should an event ever be lost (the engine drops them for a reader that is too slow), this finds out.
constexpr Milliseconds look_again_after{1'000};
constexpr Milliseconds patience{30'000};

std::string summary(const Watched& watched) {
  const auto& details = watched.details;
  return fmt::format("{} {} {} {} {} {}", watched.gone, static_cast<int>(details.state), static_cast<int>(details.health),
                     details.exit_code, details.restart_count,
                     details.started ? to_rfc3339(*details.started) : std::string{});
}

}  // namespace

ContainerWatch::ContainerWatch(Api& api, std::vector<std::string> ids, const Limits& limits)
    : api_{api}, ids_{std::move(ids)} {
  subscribe(limits);
}

ContainerWatch::~ContainerWatch() = default;

void ContainerWatch::subscribe(const Limits& limits) {
  // The answer's head precedes the subscription by a moment: `since` has the engine replay what fell into it.
  const auto since = api_.client().ask_engine_now(limits);
  stream_ = api_.events({{"type", {"container"}},
                         {"container", ids_},
                         {"event", {"start", "die", "oom", "destroy", "pause", "unpause", "restart", "health_status"}}},
                        since, limits);
}

void ContainerWatch::resubscribe(const Limits& limits) {
  stream_.reset();
  const auto bounded = limits.within(patience);
  Backoff backoff{Milliseconds{20}, Milliseconds{500}};
  for (;;) {
    try {
      subscribe(limits);
      return;
    } catch (const io::HttpFailure&) {
      if (!backoff.wait(bounded)) throw;
    }
  }
}

std::vector<Watched> ContainerWatch::look(const std::vector<std::string>& ids, const Limits& limits) {
  std::vector<Watched> changed;
  for (const auto& id : ids) {
    Watched watched;
    watched.id = id;
    if (auto details = api_.find_container(id, limits)) {
      watched.details = std::move(*details);
    } else {
      watched.gone = true;
    }
    auto text = summary(watched);
    auto& told = seen_[id];
    if (told == text) continue;
    told = std::move(text);
    changed.push_back(std::move(watched));
  }
  return changed;
}

std::vector<Watched> ContainerWatch::next(const Limits& limits) {
  for (;;) {
    try {
      if (!looked_) {
        auto all = look(ids_, limits);
        looked_ = true;
        if (!all.empty()) return all;
      }
      const auto until = Deadline::after(look_again_after);
      std::optional<EngineEvent> event;
      try {
        event = stream_->next({limits.deadline.sooner(until), limits.cancel});
      } catch (const Failure& failure) {
        if (failure.code() != Exit::deadline || limits.deadline.expired() || limits.cancel.requested()) throw;
        if (auto changed = look(ids_, limits); !changed.empty()) return changed;
        continue;
      }
      if (!event) {
        resubscribe(limits);
        looked_ = false;
        continue;
      }
      if (auto changed = look({event->id}, limits); !changed.empty()) return changed;
    } catch (const io::HttpFailure&) {
      resubscribe(limits);
      looked_ = false;
    }
  }
}

void wait_for(Api& api, const std::vector<std::string>& ids, const std::function<bool(const Present&)>& done,
              const std::function<void(const Watched&)>& changed, const Limits& limits) {
  ContainerWatch watch{api, ids, limits};
  Present present;
  for (;;) {
    for (auto& watched : watch.next(limits)) {
      if (changed) changed(watched);
      auto& known = present[watched.id];
      if (watched.gone) {
        known.id = watched.id;
        known.gone = true;
      } else {
        known = std::move(watched);
      }
    }
    if (present.size() == ids.size() && done(present)) return;
  }
}

}  // namespace codops::engine::docker

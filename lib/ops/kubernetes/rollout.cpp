#include "lib/ops/kubernetes/rollout.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/units.hpp"
#include "lib/engine/kubernetes/watch.hpp"
#include "lib/kube/drift.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/kube/pod_essence.hpp"
#include "lib/kube/summary.hpp"
#include "lib/ops/kubernetes/release_secrets.hpp"

namespace codops::ops::kubernetes {
namespace {

using Clock = std::chrono::steady_clock;
using State = kube::Verdict::State;

// Events come in bursts: judging each of them would read all pods again and again.
constexpr Milliseconds gather{30};
// Kubernetes' own clients ask again after up to 30 s and some chance once they were refused (seen: 37 s after a restart).
constexpr Milliseconds controllers_find_back{45'000};
// Until what is ready is reached by its name as well.
constexpr Milliseconds reached_a_moment_later{3000};

std::string id_of(const kube::Object& object) { return object.uid().empty() ? key_of(object) : object.uid(); }

// Everything of the namespaces that a verdict may need, as the watches tell it.
class Cache {
 public:
  Cache(k8s::Api& api, const std::vector<kube::Object>& objects) {
    std::set<std::array<std::string, 3>> kinds;
    for (const auto& object : objects) {
      const auto namespace_ = object.namespace_();
      kinds.insert({object.api_version(), object.kind(), namespace_});
      if (!kube::is_workload(object)) continue;
      kinds.insert({"v1", "Pod", namespace_});
      kinds.insert({"v1", "Event", namespace_});
      if (object.kind() == "Deployment") kinds.insert({"apps/v1", "ReplicaSet", namespace_});
      if (object.kind() == "StatefulSet" || object.kind() == "DaemonSet") kinds.insert({"apps/v1", "ControllerRevision", namespace_});
    }
    for (const auto& [api_version, kind, namespace_] : kinds) {
      k8s::WatchSpec spec{api_version, kind, namespace_, {}};
      // One object of a crowd needs no crowd: a single Secret, Namespace or CRD is asked for by name.
      const auto of_kind = [&](const kube::Object& object) { return object.kind() == kind && object.api_version() == api_version && object.namespace_() == namespace_; };
      if (std::count_if(objects.begin(), objects.end(), of_kind) == 1 && kind != "Pod" && kind != "Event" && kind != "ReplicaSet" && kind != "ControllerRevision") {
        spec.selection.fields = "metadata.name=" + std::find_if(objects.begin(), objects.end(), of_kind)->name();
      }
      specs_.push_back(spec);
    }
    waiting_ = specs_.size();
    watch_ = std::make_unique<k8s::Watch>(api, specs_);
  }

  bool synced() const { return waiting_ == 0; }

  // False: nothing came until the limits' deadline.
  bool take(const Limits& limits) {
    try {
      const auto event = watch_->next(limits);
      if (event.what == k8s::WatchEvent::What::synced) {
        --waiting_;
        return true;
      }
      kube::Object object{*event.object};
      if (specs_[event.which].kind == "Pod") object = kube::essence_of(object);
      auto& place = objects_[event.which];
      if (event.what == k8s::WatchEvent::What::deleted && kube::has_succeeded(object)) tidied_.insert_or_assign(object.ref(), object);
      if (event.what == k8s::WatchEvent::What::deleted) place.erase(id_of(object));
      else place.insert_or_assign(id_of(object), std::move(object));
      return true;
    } catch (const Failure& failure) {
      if (failure.code() != Exit::deadline) throw;
      return false;
    }
  }

  kube::Observation observation(const kube::Object& object, std::int64_t generation) const {
    kube::Observation seen;
    seen.generation = generation;
    for (const auto& [which, found] : objects_) {
      const auto& spec = specs_[which];
      for (const auto& [id, one] : found) {
        if (spec.namespace_ != object.namespace_()) continue;
        if (spec.kind == "Pod") seen.pods.push_back(one);
        else if (spec.kind == "Event") seen.events.push_back(one);
        else if (spec.kind == "ReplicaSet" || spec.kind == "ControllerRevision") seen.children.push_back(one);
        if (one.ref() == object.ref()) seen.workload = one;
      }
    }
    // It did its work before it went.
    if (const auto tidied = tidied_.find(object.ref()); seen.workload.empty() && tidied != tidied_.end()) seen.workload = tidied->second;
    return seen;
  }

 private:
  std::vector<k8s::WatchSpec> specs_;
  std::map<std::size_t, std::map<std::string, kube::Object>> objects_;
  std::map<kube::Ref, kube::Object> tidied_;  // Jobs that had succeeded when they were deleted
  std::size_t waiting_{};
  std::unique_ptr<k8s::Watch> watch_;
};

struct Awaited {
  kube::Object object;
  std::string key;
  kube::RolloutMemory memory;
  bool succeeded{false};  // a Job that may go now
  std::string waits_for;  // what it may wait for, by crashing
  std::optional<WallTime> crashes_since{};
  kube::Verdict verdict;
};

std::string text_of(const std::vector<Awaited>& all) {
  std::string text;
  std::size_t done = 0;
  for (const auto& one : all) {
    if (one.verdict.state == State::done) {
      ++done;
      continue;
    }
    if (!text.empty()) text += " · ";
    text += fmt::format("{} {}", one.object.name(), one.verdict.text);
    if (one.verdict.trouble) text += fmt::format(" ({})", one.verdict.trouble->reason);
  }
  if (text.empty()) return fmt::format("{} of {} as they should be", done, all.size());
  return text;
}

std::string done_text(const std::vector<Awaited>& all) {
  std::string text;
  for (const auto& one : all) {
    if (!kube::is_workload(one.object)) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : " · ", one.object.name(), one.verdict.text);
  }
  return text.empty() ? "as it should be" : text;
}

bool any_new_pod_ready(const kube::Observation& seen) {
  const auto pods = kube::new_pods(seen);
  return std::any_of(pods.begin(), pods.end(), [](const auto& pod) { return kube::summarise_pod(pod).ready; });
}

// Somebody's hand on the pods while codops waits for them: what would become ready then is not what was deployed. A change beside the
// containers (replicas, annotations) does not count.
std::optional<kube::Trouble> changed_by_others(const RunContext& context, const std::string& key, const kube::Object& live) {
  const auto ours = context.applied.find(key);
  const auto generation = context.generations.find(key);
  if (ours == context.applied.end() || generation == context.generations.end() || live.empty() || live.generation() <= generation->second) return std::nullopt;
  const auto lines = kube::pod_drift(ours->second, live);
  if (lines.empty()) return std::nullopt;
  const auto who = kube::last_stranger(live);
  return kube::Trouble{"Changed", fmt::format("{} changed it during the rollout: {}", who.empty() ? "somebody else" : who, fmt::join(lines, "; ")),
                       "one hand at a time: codops history shows codops' own, kubectl get -o yaml --show-managed-fields the others", live.ref(), {},
                       {{kube::Evidence::Kind::events, live.ref(), {}}}};
}

// A Job that is gone, and whose controller said before that it was complete.
bool has_tidied_itself_up(const RunContext& context, const kube::Object& object, const std::string& key, const kube::Observation& seen) {
  if (!seen.workload.empty() || !kube::tidies_itself_up(object)) return false;
  const auto applied = context.applied.find(key);
  return kube::is_told_complete(object, applied == context.applied.end() ? std::string{} : applied->second.uid(), seen.events);
}

Failure failed(RunContext& context, const Awaited& one, const kube::Trouble& trouble, std::string_view because) {
  context.troubles.push_back(trouble);
  auto hint = trouble.hint;
  if (!one.waits_for.empty()) hint = fmt::format("it may wait for {}, which is not ready; {}", one.waits_for, hint);
  return Failure{Exit::failed, hidden(context, fmt::format("{}: {}{}: {}", one.object.ref().text(), trouble.reason, because, trouble.message)), hidden(context, hint)};
}

// Crashes while something else of the release is still coming, for as long as it may come, are a way to wait for it.
void bear_crashes(RunContext& context, std::vector<Awaited>& all, Clock::time_point until, Clock::time_point now) {
  std::vector<kube::Verdict> verdicts;
  for (const auto& one : all) verdicts.push_back(one.verdict);
  for (std::size_t index = 0; index < all.size(); ++index) {
    auto& one = all[index];
    if (one.verdict.state != State::failed || !one.verdict.trouble || !kube::is_crash(*one.verdict.trouble)) continue;
    const auto other = kube::may_wait_for(verdicts, index);
    if (other && now >= until) continue;
    if (!other && one.waits_for.empty()) continue;
    if (other) {
      one.waits_for = all[*other].object.ref().text();
      // No count in it: that it crashes once more is no progress.
      one.verdict.text = fmt::format("crashes, and may wait for {}", one.waits_for);
      one.verdict.next = until;
    } else {
      // It is there by now: the next start is the one that counts.
      one.crashes_since = context.cluster.now() + reached_a_moment_later;
      one.verdict.text = fmt::format("waits for its next start: {} is ready now", one.waits_for);
      one.verdict.next.reset();
      one.waits_for.clear();
    }
    one.verdict.state = State::waiting;
  }
}

}  // namespace

std::string await_rollout(RunContext& context, const std::vector<kube::Object>& objects, const RolloutOptions& options, const Limits& limits) {
  if (objects.empty()) return "nothing to wait for";
  std::vector<Awaited> all;
  std::vector<kube::Object> awaited;
  for (const auto& object : objects) {
    auto key = key_of(object);
    if (context.settled.contains(key)) continue;
    awaited.push_back(object);
    all.push_back({object, std::move(key), {}, false, {}, {}, {}});
  }
  if (all.empty()) return done_text(all);
  auto& api = context.cluster.api();
  Cache cache{api, awaited};
  std::string shown;
  const auto began = Clock::now();
  auto moved_at = began;
  // While the API server is away, and until its controllers have found back to it, nothing can move.
  const auto stalled_since = [&] { return std::max(moved_at, api.client().last_lost() + controllers_find_back); };
  for (;;) {
    limits.check("the rollout");
    // Wait for news, or for the time at which a grace ends, then take what came with it.
    auto wake = stalled_since() + context.stall;
    for (const auto& one : all) {
      if (one.verdict.state == State::waiting && one.verdict.next) wake = std::min(wake, *one.verdict.next);
    }
    if (cache.take({limits.deadline.sooner(Deadline::at(wake)), limits.cancel})) {
      const auto until = Deadline::after(gather);
      while (!until.expired() && cache.take({limits.deadline.sooner(until), limits.cancel})) {
      }
    }
    if (!cache.synced()) {
      if (Clock::now() - stalled_since() > context.stall) throw Failure{Exit::unavailable, "the API server does not say what the objects look like now"};
      continue;
    }
    const auto now = Clock::now();
    bool done = true;
    for (auto& one : all) {
      const auto generation = context.generations.find(one.key);
      auto seen = cache.observation(one.object, generation == context.generations.end() ? 0 : generation->second);
      seen.since = context.applied_at;
      seen.crashes_since = one.crashes_since;
      if (kube::is_workload(one.object)) {
        if (one.succeeded || has_tidied_itself_up(context, one.object, one.key, seen)) {
          one.succeeded = true;
          one.verdict.state = State::done;
          continue;
        }
        if (!options.going_back) {
          if (const auto trouble = changed_by_others(context, one.key, seen.workload)) throw failed(context, one, *trouble, "");
        }
        one.memory.not_before(api.client().last_lost());
        one.verdict = kube::judge(seen, options.graces, one.memory, now, context.cluster.now());
        one.succeeded = kube::has_succeeded(seen.workload) && one.verdict.state == State::done;
        // No request goes to a Job's pod.
        if (!options.going_back && !context.traffic_moved && one.object.kind() != "Job" && any_new_pod_ready(seen)) context.traffic_moved = true;
        if (options.going_back) {
          for (const auto& pod : kube::stuck_pods(seen)) api.remove(ref_of(pod), {.uid = pod.uid(), .grace_seconds = 0}, limits);
        }
      } else {
        one.verdict = kube::judge_other(seen.workload, seen.generation);
      }
    }
    bear_crashes(context, all, began + context.stall, now);
    for (const auto& one : all) {
      if (one.verdict.state == State::failed) throw failed(context, one, *one.verdict.trouble, "");
      done = done && one.verdict.state == State::done;
    }
    if (done) return done_text(all);
    const auto text = hidden(context, text_of(all));
    if (text != shown) {
      shown = text;
      moved_at = now;
      if (options.progress) options.progress(text);
    }
    if (now - stalled_since() < context.stall) continue;
    for (const auto& one : all) {
      if (one.verdict.state == State::done) continue;
      const kube::Trouble silent{"no progress", one.verdict.text, "timeouts.ready in codops.yaml allows more", one.object.ref(), {}, {{kube::Evidence::Kind::events, one.object.ref(), {}}}};
      throw failed(context, one, one.verdict.trouble.value_or(silent), fmt::format(" for {}", format_duration(context.stall)));
    }
  }
}

namespace {

class RolloutStep final : public plan::Action {
 public:
  explicit RolloutStep(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    std::vector<kube::Object> watched;
    const auto args = nlohmann::json::parse(step.args);
    for (const auto& key : args.at("watched")) {
      const auto found = context_.next_objects.find(key.get<std::string>());
      if (found != context_.next_objects.end()) watched.push_back(found->second);
    }
    RolloutOptions options;
    options.progress = [&](const std::string& text) {
      context_.cluster.reporter().report({Event::Kind::progress, step.name, text, {}, {}, {}, {}});
    };
    return await_rollout(context_, watched, options, limits);
  }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  RunContext& context_;
};

}  // namespace

std::unique_ptr<plan::Action> rollout_action(RunContext& context) { return std::make_unique<RolloutStep>(context); }

}  // namespace codops::ops::kubernetes

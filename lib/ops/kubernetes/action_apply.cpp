// Applying what changed, and going back to what was: the stored release again, nothing of the new one left.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/diff.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/kube/ownership.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/window.hpp"
#include "lib/ops/kubernetes/apply.hpp"
#include "lib/ops/kubernetes/reach.hpp"
#include "lib/ops/kubernetes/rollout.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr int give_back_attempts = 5;
constexpr Milliseconds reach_time{30'000};
constexpr Milliseconds reach_time_back{10'000};
constexpr Milliseconds look_at_held{1000};

std::vector<std::string> keys_of(const Json& args, const char* name) {
  return args.contains(name) ? args.at(name).get<std::vector<std::string>>() : std::vector<std::string>{};
}

std::map<std::string, std::string> addresses_of(const Json& args, const char* name) {
  return args.contains(name) ? args.at(name).get<std::map<std::string, std::string>>() : std::map<std::string, std::string>{};
}

std::vector<kube::Object> objects_named(const ObjectsByKey& objects, const std::vector<std::string>& keys) {
  std::vector<kube::Object> found;
  for (const auto& key : keys) {
    if (const auto object = objects.find(key); object != objects.end()) found.push_back(object->second);
  }
  return found;
}

// Data, and what others may use by now.
bool outlives_its_release(const kube::Object& object) {
  return object.kind() == "PersistentVolumeClaim" || object.kind() == "CustomResourceDefinition" || (object.kind() == "Namespace" && object.group().empty());
}

class Apply final : public plan::Action {
 public:
  explicit Apply(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    widen_set(context_, limits);
    const auto adopted = objects_named(context_.next_objects, keys_of(args, "adopted"));
    in_parallel(adopted.size(), k8s::most_connections, [&](std::size_t index) { take_over(adopted[index], limits); });
    for (const auto& object : objects_named(context_.next_objects, keys_of(args, "windows"))) open_window(object, limits);
    auto keys = keys_of(args, "changed");
    const auto added = keys_of(args, "added");
    keys.insert(keys.end(), added.begin(), added.end());
    auto objects = objects_named(context_.next_objects, keys);
    kube::sort_for_apply(objects);
    const auto count = objects.size();
    restore_addresses(context_, objects, addresses_of(args, "addresses"), limits);
    apply_objects(context_, std::move(objects), context_.force_conflicts ? Conflicts::take_over : Conflicts::refuse, limits);
    if (args.value("moves", false)) context_.traffic_moved = true;
    const auto led = objects_named(context_.next_objects, keys_of(args, "leads"));
    if (!await_reach(context_, led, reach_time, limits)) {
      throw Failure{Exit::failed, fmt::format("{} does not lead to its new pods after {} s, though they are ready", led.front().ref().text(), reach_time.count() / 1000),
                    fmt::format("what it leads to: kubectl -n {} get endpointslices -l kubernetes.io/service-name={}", led.front().namespace_(), led.front().name())};
    }
    hold(step, objects_named(context_.next_objects, keys_of(args, "held")), limits);
    if (args.value("wait", false)) {
      std::vector<kube::Object> awaited;
      for (const auto& key : keys) {
        if (const auto found = context_.next_objects.find(key); found != context_.next_objects.end()) awaited.push_back(found->second);
      }
      RolloutOptions options;
      options.progress = [&](const std::string& text) { context_.cluster.reporter().report({Event::Kind::progress, step.name, text, {}, {}, {}, {}}); };
      const auto moved = context_.traffic_moved;
      await_rollout(context_, awaited, options, limits);
      context_.traffic_moved = moved;  // the application's own pods are not among them
    }
    for (const auto& key : keys_of(args, "restarted")) restarted_at(context_.next_objects.at(key), to_rfc3339(context_.cluster.now()), limits);
    return fmt::format("{} applied", count);
  }

  void undo(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    std::vector<kube::Object> former;
    for (const auto& key : keys_of(args, "changed")) {
      if (const auto live = context_.before.find(key); live != context_.before.end()) former.push_back(kube::body_of(live->second));
      else if (const auto found = context_.current_objects.find(key); found != context_.current_objects.end()) former.push_back(found->second);
    }
    kube::sort_for_apply(former);
    restore_addresses(context_, former, addresses_of(args, "assigned"), limits);
    leave_replicas(former, limits);
    apply_objects(context_, former, Conflicts::take_over, limits);
    const auto taken = former;
    for (const auto& object : former) recount(object, args.value("counts", Json::object()), limits);
    go_back_to(former, keys_of(args, "leads"), limits);
    auto added = objects_named(context_.next_objects, keys_of(args, "added"));
    kube::sort_for_delete(added);
    for (const auto& object : added) {
      if (outlives_its_release(object)) {
        if (context_.cluster.api().find(ref_of(object), limits)) context_.cluster.reporter().note(fmt::format("{} was made and stays", object.ref().text()));
        continue;
      }
      remove_object(context_, key_of(object), object.api_version(), {}, limits);
    }
    for (const auto& key : keys_of(args, "restarted")) {
      const auto found = context_.current_objects.find(key);
      if (found == context_.current_objects.end()) continue;
      restarted_at(found->second, args.at("was").at(key), limits);
      former.push_back(found->second);
    }
    // A Job of before may run once more, beside what serves.
    std::erase_if(former, [](const auto& object) { return !kube::is_workload(object) || object.kind() == "Job"; });
    for (const auto& object : former) resume(object, limits);
    RolloutOptions options;
    options.going_back = true;
    options.progress = [&](const std::string& text) {
      context_.cluster.reporter().report({Event::Kind::progress, step.name, "back: " + text, {}, {}, {}, {}});
    };
    await_rollout(context_, former, options, limits);
    close_windows(context_, keys_of(args, "windows"), limits);
    // Last: who gets its fields back knows nothing of windows.
    for (const auto& object : taken) give_back(object, limits);
  }

 private:
  // The old pods are still there: the new ones have to stay well with the requests that they get now.
  void hold(const plan::Step& step, std::vector<kube::Object> held, const Limits& limits) {
    std::erase_if(held, [](const auto& object) { return !kube::is_workload(object) || object.kind() == "Job"; });
    if (held.empty()) return;
    RolloutOptions options;
    options.progress = [&](const std::string& text) { context_.cluster.reporter().report({Event::Kind::progress, step.name, text, {}, {}, {}, {}}); };
    const auto until = limits.within(context_.monitor);
    for (;;) {
      await_rollout(context_, held, options, limits);
      if (until.deadline.expired()) return;
      until.within(look_at_held).wait(-1, 0);
    }
  }

  // The pods that they lead to now go next: not before requests go where they went.
  void go_back_to(const std::vector<kube::Object>& former, const std::vector<std::string>& services, const Limits& limits) {
    auto led = former;
    std::erase_if(led, [&](const auto& object) { return std::find(services.begin(), services.end(), key_of(object)) == services.end(); });
    if (!await_reach(context_, led, reach_time_back, limits)) context_.cluster.reporter().warn(fmt::format("{} leads to no ready pod yet", led.front().ref().text()));
  }

  void take_over(const kube::Object& object, const Limits& limits) {
    auto& api = context_.cluster.api();
    const auto live = api.find(ref_of(object), limits);
    if (!live) return;
    const auto adoption = kube::adoption_of(kube::Object{*live}, object, std::string{k8s::field_manager});
    if (adoption) api.patch(ref_of(object), k8s::Api::PatchKind::json, Json::parse(adoption->patch), limits);
  }

  // What was others' is theirs again: else the next deploy would take away what no manifest of ours says.
  void give_back(const kube::Object& object, const Limits& limits) {
    const auto before = context_.before.find(key_of(object));
    if (before == context_.before.end()) return;
    auto& api = context_.cluster.api();
    for (int attempt = 1; attempt <= give_back_attempts; ++attempt) {
      const auto live = api.find(ref_of(object), limits);
      const auto patch = live ? kube::ownership_patch(kube::Object{*live}, before->second) : std::string{};
      if (patch.empty()) return;
      try {
        api.patch(ref_of(object), k8s::Api::PatchKind::json, Json::parse(patch), limits);
        return;
      } catch (const k8s::ApiError& error) {
        // Controllers write as well; the values are back already.
        if (error.status() != 409 || attempt == give_back_attempts) {
          context_.cluster.reporter().warn(fmt::format("{} is as it was, but its fields stay codops': {}", object.ref().text(), error.message()));
          return;
        }
      }
    }
  }

  std::optional<int> written_replicas(const std::string& key) const {
    const auto next = context_.next_objects.find(key);
    return next == context_.next_objects.end() ? std::nullopt : kube::replicas_of(next->second);
  }

  std::vector<kube::Object> autoscalers(const std::set<std::string>& namespaces, const Limits& limits) {
    std::vector<kube::Object> found;
    for (const auto& namespace_ : namespaces) {
      try {
        for (auto& json : context_.cluster.api().list("autoscaling/v2", "HorizontalPodAutoscaler", namespace_, {}, limits)) found.emplace_back(std::move(json));
      } catch (const k8s::ApiError&) {
        // Who may not look goes by the record.
      }
    }
    // Those that this very run brought go again.
    std::erase_if(found, [&](const auto& one) { return context_.next_objects.contains(key_of(one)) && !context_.current_objects.contains(key_of(one)); });
    return found;
  }

  // A number that an autoscaler says, or that this run has not written or somebody has changed since, stays as it is now: written back it would
  // end pods that serve.
  void leave_replicas(std::vector<kube::Object>& former, const Limits& limits) {
    std::set<std::string> namespaces;
    for (const auto& object : former) {
      if (kube::replicas_of(object)) namespaces.insert(object.namespace_());
    }
    const auto scalers = autoscalers(namespaces, limits);
    for (auto& object : former) {
      if (!kube::replicas_of(object)) continue;
      const auto key = key_of(object);
      bool open = kube::is_autoscaled(object, scalers);
      if (!open && context_.before.contains(key)) {
        const auto live = context_.cluster.api().find(ref_of(object), limits);
        open = live && !kube::replicas_to_restore(written_replicas(key), kube::replicas_of(kube::Object{*live}), *kube::replicas_of(object));
      }
      if (open) object = kube::with_open_replicas(object);
    }
  }

  // The record leaves the number open: as many as ran before, where this run has written another.
  void recount(const kube::Object& object, const Json& counts, const Limits& limits) {
    const auto key = key_of(object);
    if (!counts.contains(key)) return;
    auto& api = context_.cluster.api();
    const auto live = api.find(ref_of(object), limits);
    const auto count = live ? kube::replicas_to_restore(written_replicas(key), kube::replicas_of(kube::Object{*live}), counts.at(key).get<int>()) : std::nullopt;
    if (!count) return;
    api.set_scale(ref_of(object), *count, limits);
    if (const auto now = api.find(ref_of(object), limits)) context_.generations[key] = kube::Object{*now}.generation();
  }

  // Who paused it in mid-run would keep it from going back.
  void resume(const kube::Object& object, const Limits& limits) {
    const auto live = context_.cluster.api().find(ref_of(object), limits);
    if (!live || kube::refuse_early({kube::Object{*live}}).empty() || !kube::refuse_early({object}).empty()) return;
    context_.cluster.reporter().note(fmt::format("{} was paused by hand and is resumed, to go back", object.ref().text()));
    const auto resumed = context_.cluster.api().patch(ref_of(object), k8s::Api::PatchKind::merge, {{"spec", {{"paused", nullptr}}}}, limits);
    context_.generations[key_of(object)] = kube::Object{resumed}.generation();
  }

  void open_window(const kube::Object& object, const Limits& limits) {
    const auto window = kube::window_for(object, context_.monitor);
    if (window) context_.cluster.api().apply(window->patch.json(), {.force = true, .manager = kube::window_manager}, limits);
  }

  // As `kubectl rollout restart` does it; null takes the annotation away.
  void restarted_at(const kube::Object& object, const Json& when, const Limits& limits) {
    const Json body{{"spec", {{"template", {{"metadata", {{"annotations", {{"kubectl.kubernetes.io/restartedAt", when}}}}}}}}}};
    const auto live = context_.cluster.api().patch(ref_of(object), k8s::Api::PatchKind::strategic, body, limits);
    context_.generations[key_of(object)] = kube::Object{live}.generation();
  }

  RunContext& context_;
};

class Settle final : public plan::Action {
 public:
  explicit Settle(RunContext& context) : context_{context} {}
  std::string perform(const plan::Step& step, const Limits& limits) override {
    close_windows(context_, keys_of(Json::parse(step.args), "windows"), limits);
    return "the manifest's own rollout settings hold";
  }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  RunContext& context_;
};

class Prune final : public plan::Action {
 public:
  explicit Prune(RunContext& context) : context_{context} {}
  std::string perform(const plan::Step& step, const Limits& limits) override {
    std::size_t count = 0;
    const auto args = Json::parse(step.args);
    for (const auto& gone : args.at("gone")) {
      remove_object(context_, gone.at("key"), gone.at("apiVersion"), gone.at("uid"), limits);
      ++count;
    }
    narrow_set(context_, limits);
    return fmt::format("{} removed", count);
  }
  void undo(const plan::Step& step, const Limits& limits) override {
    std::vector<kube::Object> former;
    const auto args = Json::parse(step.args);
    for (const auto& gone : args.at("gone")) {
      if (const auto found = context_.current_objects.find(gone.at("key")); found != context_.current_objects.end()) former.push_back(found->second);
    }
    kube::sort_for_apply(former);
    restore_addresses(context_, former, addresses_of(args, "assigned"), limits);
    apply_objects(context_, former, Conflicts::take_over, limits);
    // Made anew where the record leaves the number open, it would be one.
    for (const auto& gone : args.at("gone")) {
      const auto found = context_.current_objects.find(gone.at("key"));
      if (found == context_.current_objects.end() || !gone.contains("replicas") || kube::replicas_of(found->second)) continue;
      const auto live = context_.cluster.api().find(ref_of(found->second), limits);
      if (!live || kube::Object{*live}.uid() == gone.at("uid")) continue;
      context_.cluster.api().set_scale(ref_of(found->second), gone.at("replicas").get<int>(), limits);
      if (const auto now = context_.cluster.api().find(ref_of(found->second), limits)) context_.generations[key_of(found->second)] = kube::Object{*now}.generation();
    }
    // Services may go back to them next.
    std::erase_if(former, [](const auto& object) { return !kube::is_workload(object) || object.kind() == "Job"; });
    RolloutOptions options;
    options.going_back = true;
    options.progress = [&](const std::string& text) { context_.cluster.reporter().report({Event::Kind::progress, step.name, "back: " + text, {}, {}, {}, {}}); };
    await_rollout(context_, former, options, limits);
  }

 private:
  RunContext& context_;
};

}  // namespace

void close_windows(RunContext& context, const std::vector<std::string>& keys, const Limits& limits) {
  auto& api = context.cluster.api();
  for (const auto& key : keys) {
    auto object = context.next_objects.find(key);
    if (object == context.next_objects.end()) continue;
    const auto found = api.find(ref_of(object->second), limits);
    if (!found) continue;
    const kube::Object live{*found};
    if (kube::has_window(live)) api.apply(kube::window_release(live).json(), {.manager = kube::window_manager}, limits);
  }
}

std::unique_ptr<plan::Action> apply_action(RunContext& context) { return std::make_unique<Apply>(context); }
std::unique_ptr<plan::Action> settle_action(RunContext& context) { return std::make_unique<Settle>(context); }
std::unique_ptr<plan::Action> prune_action(RunContext& context) { return std::make_unique<Prune>(context); }

}  // namespace codops::ops::kubernetes

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"
#include "lib/kube/rollout.hpp"
#include "lib/kube/schema.hpp"

namespace codops::kube {
namespace {

Verdict other(Verdict::State state, std::string text) {
  Verdict verdict;
  verdict.state = state;
  verdict.text = std::move(text);
  return verdict;
}

Verdict other_failed(const Object& live, std::string reason, std::string message, std::string hint = {}) {
  auto verdict = other(Verdict::State::failed, reason);
  verdict.trouble = Trouble{std::move(reason), std::move(message), std::move(hint), live.ref(), {}, {{Evidence::Kind::events, live.ref(), {}}}};
  return verdict;
}

bool is_true(const nlohmann::json* condition) { return condition && text_in(*condition, "/status") == "True"; }

}  // namespace

Verdict judge_other(const Object& live, std::int64_t generation) {
  using State = Verdict::State;
  if (live.empty()) return other(State::waiting, "not there yet");
  const auto& json = live.json();
  const auto kind = live.kind(), group = live.group();
  if (kind == "CustomResourceDefinition" && group == "apiextensions.k8s.io") {
    if (const auto* names = condition_of(json, "NamesAccepted"); names && text_in(*names, "/status") == "False")
      return other_failed(live, text_in(*names, "/reason"), fmt::format("{} is not accepted: {}", live.ref().text(), text_in(*names, "/message")), "another definition has these names");
    return is_true(condition_of(json, "Established")) ? other(State::done, "established") : other(State::waiting, "not established yet");
  }
  if (kind == "Namespace" && group.empty()) {
    const auto phase = text_in(json, "/status/phase");
    if (phase == "Terminating") return other_failed(live, "Terminating", fmt::format("namespace {} is being deleted", live.name()), "wait until it is gone, then deploy again");
    return phase == "Active" ? other(State::done, "active") : other(State::waiting, "not active yet");
  }
  if (kind == "PersistentVolumeClaim" && group.empty() && text_in(json, "/status/phase") == "Lost")
    return other_failed(live, "Lost", fmt::format("{} lost its volume", live.ref().text()));
  if (kind == "APIService") return is_true(condition_of(json, "Available")) ? other(State::done, "available") : other(State::waiting, "not available yet");
  if (is_built_in(group)) return other(State::done, "");
  // A custom resource whose controller says how far it is.
  const auto observed = number_in(json, "/status/observedGeneration", -1);
  const auto* ready = condition_of(json, "Ready");
  if (!ready) return other(State::done, "");
  if (observed >= 0 && observed < std::max(generation, live.generation())) return other(State::waiting, "waits for its controller");
  if (is_true(ready)) return other(State::done, "ready");
  auto why = text_in(*ready, "/message");
  return other(State::waiting, why.empty() ? "not ready" : why);
}

}  // namespace codops::kube

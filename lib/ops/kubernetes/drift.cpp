#include "lib/ops/kubernetes/drift.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/kube/drift.hpp"
#include "lib/kube/fields.hpp"
#include "lib/ops/kubernetes/observed.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

std::string label_of(const Cluster& cluster) { return fmt::format("{}={}", kube::applyset_part_of, cluster.set().id()); }

// "" when it is as it should be; `live` null: there is none.
std::string change_of(const kube::Object& object, const Json& live) {
  static const Json::json_pointer spec{"/spec"}, suspend{"/spec/suspend"};
  const auto told = [&](std::string_view what) { return fmt::format("{} {}", object.ref().text(), what); };
  if (live.is_null()) return told("was removed");
  if (object.kind() == "CronJob" && !object.json().contains(suspend) && live.value(suspend, false)) return told("was suspended by hand");
  // The server writes nothing of it in another way.
  if (object.kind() == "Ingress" && object.json().contains(spec) && !kube::is_within(object.json().at(spec), live.value(spec, Json::object()))) return told("was changed by hand");
  return {};
}

}  // namespace

bool holds_data(const kube::Object& object) { return object.group().empty() && (object.kind() == "ConfigMap" || object.kind() == "Secret"); }

void ask_about_data(Questions& questions, const Cluster& cluster, const std::vector<kube::Object>& objects, std::vector<kube::Object>& live) {
  std::set<std::pair<std::string, std::string>> places;
  for (const auto& object : objects) {
    if (holds_data(object)) places.emplace(object.namespace_(), object.kind());
  }
  for (const auto& [namespace_, kind] : places) questions.list("v1", kind, namespace_, {label_of(cluster), {}}, into(live));
}

std::vector<std::string> drift_of_data(Cluster& cluster, const std::vector<kube::Object>& objects, const std::vector<kube::Object>& live, const Limits& limits) {
  std::map<kube::Ref, kube::Object> present;
  for (const auto& object : live) present.emplace(object.ref(), object);
  std::vector<k8s::ObjectRef> unlabelled;
  for (const auto& object : objects) {
    if (holds_data(object) && !present.contains(object.ref())) unlabelled.push_back(ref_of(object));
  }
  for (auto& json : cluster.api().find_all(unlabelled, limits)) {
    if (json.is_null()) continue;
    kube::Object object{std::move(json)};
    present.emplace(object.ref(), object);
  }
  std::vector<std::string> lines;
  for (const auto& object : objects) {
    if (!holds_data(object)) continue;
    const auto found = present.find(object.ref());
    if (found == present.end()) lines.push_back(fmt::format("{} was removed", object.ref().text()));
    else for (const auto& line : kube::data_drift(object, found->second)) lines.push_back(fmt::format("{}: {}", object.ref().text(), line));
  }
  return lines;
}

void ask_about_others(Questions& questions, Cluster& cluster, const std::vector<kube::Object>& objects, std::vector<std::string>& lines, const Limits& limits) {
  lines.resize(objects.size());
  std::map<std::array<std::string, 3>, std::vector<std::size_t>> places;
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto& object = objects[index];
    const bool service = object.kind() == "Service" && object.group().empty();
    if (!kube::is_workload(object) && !service && !holds_data(object)) places[{object.api_version(), object.kind(), object.namespace_()}].push_back(index);
  }
  // Who may not look is told nothing; a kind may be gone with its definition.
  const auto quietly = [&limits](auto&& look) {
    try {
      look();
    } catch (const Failure&) {
      limits.check("the look at the release's objects");
    }
  };
  for (const auto& [place, indexes] : places) {
    const auto look_at = [&cluster, &objects, &lines, &limits](std::size_t index) {
      const auto live = cluster.api().find(ref_of(objects[index]), limits);
      lines[index] = change_of(objects[index], live ? *live : Json());
    };
    if (indexes.size() < worth_a_list) {
      for (const auto index : indexes) questions.ask([=] { quietly([&] { look_at(index); }); });
      continue;
    }
    questions.ask([=, &cluster, &objects, &lines, &limits, place = place, indexes = indexes] {
      quietly([&] {
        std::map<std::string, Json> live;
        cluster.api().list(place[0], place[1], place[2], {label_of(cluster), {}}, [&](Json&& json) { live.insert_or_assign(kube::Object{json}.name(), std::move(json)); }, limits);
        for (const auto index : indexes) {
          const auto found = live.find(objects[index].name());
          if (found == live.end()) look_at(index);  // it may have lost its label alone
          else lines[index] = change_of(objects[index], found->second);
        }
      });
    });
  }
}

bool ReplicaDrift::is_autoscaled(const kube::Object& workload) {
  const auto& namespace_ = workload.namespace_();
  auto found = autoscalers_.find(namespace_);
  if (found == autoscalers_.end()) {
    found = autoscalers_.emplace(namespace_, std::vector<kube::Object>{}).first;
    try {
      cluster_.api().list("autoscaling/v2", "HorizontalPodAutoscaler", namespace_, {}, [&](Json&& json) { found->second->emplace_back(std::move(json)); }, limits_);
    } catch (const k8s::ApiError& error) {
      if (error.status() != 403) throw;
      found->second.reset();
    }
  }
  if (!found->second) return true;  // what can't be known is no drift
  return std::any_of(found->second->begin(), found->second->end(), [&](const auto& autoscaler) {
    const auto target = autoscaler.json().at("spec").at("scaleTargetRef");
    return target.value("kind", "") == workload.kind() && target.value("name", "") == workload.name();
  });
}

// Where the release leaves the number open, nobody but codops ever said none at all.
std::string ReplicaDrift::of(const kube::Object& on_record, const kube::Object& live, kube::WorkloadSummary& summary) {
  if (on_record.kind() != "Deployment" && on_record.kind() != "StatefulSet") return {};
  const auto now = live.json().at("spec").value("replicas", 1);
  const auto& spec = on_record.json().at("spec");
  const bool open = !spec.contains("replicas");
  const auto* service = release_.service(on_record.name());
  const int wanted = !open ? spec.at("replicas").get<int>() : service != nullptr && service->replicas == 0 ? 0 : 1;
  if (open ? now > 0 || wanted == 0 : now == wanted) return {};
  // One that is scaled to none is left alone by its autoscaler.
  if (now > 0 && is_autoscaled(on_record)) return {};
  kube::count_by_release(summary, wanted);
  return fmt::format("{}: scaled to {}, the release has {}", on_record.ref().text(), now, open ? "more" : std::to_string(wanted));
}

}  // namespace codops::ops::kubernetes

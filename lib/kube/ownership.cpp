#include "lib/kube/ownership.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/secret.hpp"
#include "lib/kube/diff.hpp"
#include "lib/kube/fields.hpp"
#include "lib/kube/pod_view.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/window.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;
constexpr const char* last_applied = "kubectl.kubernetes.io/last-applied-configuration";

const Json& entries_of(const Object& live) {
  static const Json none = Json::array();
  const Json::json_pointer at{"/metadata/managedFields"};
  return live.json().is_object() && live.json().contains(at) && live.json().at(at).is_array() ? live.json().at(at) : none;
}

Json fields_in(const Json& entry) {
  const auto found = entry.find("fieldsV1");
  return found != entry.end() && found->is_object() ? *found : Json::object();
}

// Those who write whole manifests, as codops does. Edits by hand (kubectl-edit, kubectl-set) are not adopted: they are conflicts.
bool writes_manifests(const Json& entry) {
  if (!text_in(entry, "/subresource").empty()) return false;
  const auto manager = text_in(entry, "/manager");
  const bool apply = text_in(entry, "/operation") == "Apply";
  if (manager == "helm" || manager == "kubectl") return true;
  return !apply && (manager == "kubectl-client-side-apply" || manager == "kubectl-create" || manager == "kubectl-replace" || manager == "before-first-apply");
}

std::string shown(const Object& object, const FieldPath& path, const Json& value) {
  bool secret = object.group().empty() && object.kind() == "Secret" && !path.empty() && (path[0].text == "data" || path[0].text == "stringData");
  if (path.size() == 2 && path[0].text == "data") secret = secret || key_names_secret(path[1].text);
  secret = secret || is_document(value) || (path.size() > 1 && (path[path.size() - 2].text == "annotations" || path[path.size() - 2].text == "labels") && key_names_secret(path.back().text));
  for (const auto& step : path) {
    if (step.kind == FieldStep::Kind::key) secret = secret || names_secret(step.text);
  }
  if (secret) return std::string{Secret::shown};
  return redact_urls_in(value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// Who applied stringData owns nothing of the data that the server made of it. True: there was some.
bool own_data_of_texts(Json& fields) {
  const auto texts = fields.find("f:stringData");
  if (texts == fields.end()) return false;
  const auto keys = *texts;
  fields.erase("f:stringData");
  unite(fields["f:data"], keys);
  return true;
}

// What the server fills in by itself, and fills in again.
bool is_defaulted(const FieldPath& path) {
  constexpr std::array<std::string_view, 19> names{"progressDeadlineSeconds", "revisionHistoryLimit", "strategy", "updateStrategy", "podManagementPolicy", "imagePullPolicy", "protocol", "resources", "terminationMessagePath",
                                                   "terminationMessagePolicy", "dnsPolicy", "restartPolicy", "schedulerName", "securityContext", "terminationGracePeriodSeconds", "sessionAffinity", "internalTrafficPolicy", "annotations", "persistentVolumeClaimRetentionPolicy"};
  return std::find(names.begin(), names.end(), path.back().text) != names.end();
}

// Fields that nobody owns once `desired` is applied, each by the highest parent that goes.
std::vector<std::string> drops_of(const std::vector<FieldPath>& owned, const Object& live, const Object& desired, const std::set<std::string>& elsewhere) {
  // kubectl noted what its user wrote; Helm did not.
  const auto written = Json::parse(live.annotation(last_applied), nullptr, false);
  std::set<std::string> drops;
  for (const auto& path : owned) {
    if (value_at(desired.json(), path) || !value_at(live.json(), path) || elsewhere.contains(path_text(path))) continue;
    FieldPath gone;
    for (const auto& step : path) {
      gone.push_back(step);
      if (!value_at(desired.json(), gone)) break;
    }
    const auto* noted = written.is_object() ? value_at(written, gone) : nullptr;
    const bool by_user = written.is_object() ? noted && !(noted->is_structured() && noted->empty()) : !is_defaulted(gone);
    if (by_user) drops.insert(path_text(gone));
  }
  return {drops.begin(), drops.end()};
}

}  // namespace

std::vector<Owner> owners_of(const Object& live) {
  std::vector<Owner> owners;
  for (const auto& entry : entries_of(live)) {
    Owner owner{text_in(entry, "/manager"), text_in(entry, "/operation") == "Apply", text_in(entry, "/subresource"), text_in(entry, "/time"), {}};
    for (const auto& path : leaves_of(fields_in(entry))) owner.fields.push_back(path_text(path));
    std::sort(owner.fields.begin(), owner.fields.end());
    owners.push_back(std::move(owner));
  }
  return owners;
}

std::vector<Conflict> conflicts_of(const Object& live, const Object& desired, const std::string& manager) {
  std::vector<Conflict> conflicts;
  if (live.empty() || desired.empty()) return conflicts;
  for (const auto& entry : entries_of(live)) {
    const auto who = text_in(entry, "/manager");
    if (who == manager) continue;
    for (const auto& path : leaves_of(fields_in(entry))) {
      const auto* ours = value_at(desired.json(), path);
      const auto* theirs = value_at(live.json(), path);
      if (!ours || !theirs || is_within(*ours, *theirs)) continue;
      conflicts.push_back({path_text(path), who, text_in(entry, "/operation") == "Apply", shown(desired, path, *ours), shown(live, path, *theirs)});
    }
  }
  return conflicts;
}

std::optional<Adoption> adoption_of(const Object& live, const Object& desired, const std::string& manager) {
  if (live.empty()) return std::nullopt;
  Adoption adoption;
  Json kept = Json::array(), ours = Json::object();
  std::string version, time;
  std::set<std::string> elsewhere;
  for (const auto& entry : entries_of(live)) {
    const bool own = text_in(entry, "/manager") == manager && text_in(entry, "/operation") == "Apply" && text_in(entry, "/subresource").empty();
    if (!own && !writes_manifests(entry)) {
      kept.push_back(entry);
      for (const auto& path : leaves_of(fields_in(entry))) elsewhere.insert(path_text(path));
      continue;
    }
    unite(ours, fields_in(entry));
    version = std::max(version, text_in(entry, "/apiVersion"));
    time = std::max(time, text_in(entry, "/time"));
    if (!own) adoption.managers.push_back(text_in(entry, "/manager"));
  }
  const bool texts = live.kind() == "Secret" && own_data_of_texts(ours);
  if (adoption.managers.empty() && !texts) return std::nullopt;
  std::sort(adoption.managers.begin(), adoption.managers.end());
  adoption.managers.erase(std::unique(adoption.managers.begin(), adoption.managers.end()), adoption.managers.end());

  // kubectl's own memory of what it applied would bring removed fields back with its next apply.
  const Json::json_pointer notes{"/f:metadata/f:annotations"};
  const bool remembered = !live.annotation(last_applied).empty();
  if (ours.contains(notes)) ours[notes].erase(std::string{"f:"} + last_applied);
  // The number that runs stays: taken over and left out, it would become one.
  const Json::json_pointer spec{"/f:spec"};
  if (has_replicas(live) && !replicas_of(desired) && ours.contains(spec)) ours[spec].erase("f:replicas");
  adoption.drops = drops_of(leaves_of(ours), live, desired, elsewhere);

  kept.push_back({{"manager", manager}, {"operation", "Apply"}, {"apiVersion", version}, {"time", time}, {"fieldsType", "FieldsV1"}, {"fieldsV1", std::move(ours)}});
  auto patch = Json::array();
  // resourceVersion in a patch is a precondition: 409 when somebody wrote in between.
  patch.push_back({{"op", "replace"}, {"path", "/metadata/resourceVersion"}, {"value", live.resource_version()}});
  patch.push_back({{"op", "replace"}, {"path", "/metadata/managedFields"}, {"value", std::move(kept)}});
  if (remembered) patch.push_back({{"op", "remove"}, {"path", "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}});
  adoption.patch = patch.dump(-1, ' ', false, Json::error_handler_t::replace);

  const auto release = live.annotation("meta.helm.sh/release-name");
  const bool helm = std::find(adoption.managers.begin(), adoption.managers.end(), "helm") != adoption.managers.end();
  adoption.from = helm ? (release.empty() ? std::string{"Helm"} : fmt::format("Helm release \"{}\"", release)) : std::string{"kubectl"};
  adoption.text = fmt::format("{} is taken over from {}", live.ref().text(), adoption.from);
  if (adoption.managers.empty()) {
    adoption.from = manager;
    adoption.text = fmt::format("{}: the keys that it has from stringData are {}' own from now on", live.ref().text(), manager);
  }
  if (!adoption.drops.empty()) {
    adoption.text += "; removed with that:";
    for (const auto& field : adoption.drops) adoption.text += " " + field;
  }
  return adoption;
}

Object as_it_was(const Object& live) {
  auto before = without_noise(live);
  if (!entries_of(live).empty()) before.edit()["metadata"]["managedFields"] = entries_of(live);
  if (const auto note = live.annotation(last_applied); !note.empty()) before.set_annotation(last_applied, note);
  return before;
}

Object body_of(const Object& before) {
  if (entries_of(before).empty()) return before;
  auto body = before;
  body.edit()["metadata"].erase("managedFields");
  return body;
}

std::string ownership_patch(const Object& live, const Object& before) {
  if (entries_of(before).empty() || live.empty()) return {};
  auto entries = Json::array();
  for (const auto& entry : entries_of(before)) {
    if (text_in(entry, "/subresource") != "status") entries.push_back(entry);
  }
  for (const auto& entry : entries_of(live)) {
    if (text_in(entry, "/subresource") == "status") entries.push_back(entry);
  }
  const auto patch = Json::array({{{"op", "replace"}, {"path", "/metadata/resourceVersion"}, {"value", live.resource_version()}},
                                  {{"op", "replace"}, {"path", "/metadata/managedFields"}, {"value", std::move(entries)}}});
  return patch.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace codops::kube

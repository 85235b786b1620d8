#include "lib/ops/kubernetes/admission.hpp"

#include <nlohmann/json.hpp>

namespace codops::ops::kubernetes {

void Admission::ask(Questions& questions, const std::set<std::string>& namespaces) {
  const std::string group = "/apis/admissionregistration.k8s.io/";
  std::set<std::string> paths{group + "v1/validatingwebhookconfigurations", group + "v1/mutatingwebhookconfigurations", group + "v1/validatingadmissionpolicybindings",
                              group + "v1/mutatingadmissionpolicybindings", group + "v1beta1/mutatingadmissionpolicybindings"};
  for (const auto& name : namespaces) paths.insert(k8s::well_known_resource("v1", "ResourceQuota")->path(name));
  for (const auto& path : paths) {
    if (asked_.insert(path).second) questions.ask([this, path] { look(path); });
  }
}

bool Admission::others_decide(const std::set<std::string>& namespaces) {
  Questions questions{cluster_, limits_};
  ask(questions, namespaces);
  questions.answer();
  return found_;
}

void Admission::look(const std::string& path) {
  const auto answer = cluster_.api().client().call({.path = path, .query = {{"limit", "1"}}, .what = "ask who may refuse objects", .expected = {403, 404}}, limits_);
  if (answer.status == 404) return;  // this server has none of the kind
  const auto list = nlohmann::json::parse(answer.body, nullptr, false);
  if (answer.status == 403 || !list.is_object() || !list.contains("items") || !list.at("items").empty()) found_ = true;
}

}  // namespace codops::ops::kubernetes

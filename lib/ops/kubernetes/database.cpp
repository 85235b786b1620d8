#include "lib/ops/kubernetes/database.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/io/crypto.hpp"
#include "lib/kube/summary.hpp"
#include "lib/ops/store_kind.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

bool names_a_postgres(std::string_view url) { return url.starts_with("postgres") || url.find("host=") != std::string_view::npos; }

// A value of a ConfigMap or Secret among the objects.
std::optional<std::string> value_in(const std::vector<kube::Object>& objects, const char* kind, const std::string& namespace_, const std::string& name, const std::string& key) {
  for (const auto& object : objects) {
    if (object.kind() != kind || object.name() != name || object.namespace_() != namespace_) continue;
    const auto& json = object.json();
    for (const char* field : {"stringData", "data"}) {
      if (!json.contains(field) || !json.at(field).is_object() || !json.at(field).contains(key)) continue;
      auto text = json.at(field).at(key).get<std::string>();
      if (std::string_view{kind} != "Secret" || std::string_view{field} != "data") return text;
      std::erase(text, '\n');  // kustomize breaks long ones into lines
      return io::from_base64(text);
    }
  }
  return std::nullopt;
}

std::optional<std::string> variable_in(const std::vector<kube::Object>& objects, const std::string& namespace_, const Json& container, const std::string& variable) {
  for (const auto& entry : container.value("env", Json::array())) {
    if (entry.value("name", "") != variable) continue;
    if (entry.contains("value")) return entry.at("value").get<std::string>();
    const auto from = entry.value("valueFrom", Json::object());
    for (const auto& [field, kind] : {std::pair{"secretKeyRef", "Secret"}, {"configMapKeyRef", "ConfigMap"}}) {
      if (!from.contains(field)) continue;
      return value_in(objects, kind, namespace_, from.at(field).value("name", ""), from.at(field).value("key", ""));
    }
    return std::nullopt;
  }
  std::optional<std::string> found;  // the last source wins
  for (const auto& source : container.value("envFrom", Json::array())) {
    const auto prefix = source.value("prefix", "");
    if (!variable.starts_with(prefix)) continue;
    for (const auto& [field, kind] : {std::pair{"secretRef", "Secret"}, {"configMapRef", "ConfigMap"}}) {
      if (!source.contains(field)) continue;
      if (auto value = value_in(objects, kind, namespace_, source.at(field).value("name", ""), variable.substr(prefix.size()))) found = std::move(value);
    }
  }
  return found;
}

// The first that `url_of` has an answer for, in the environment of a container of each workload.
template <class UrlOf>
std::optional<NamedDatabase> first_named(const std::vector<kube::Object>& objects, const std::string& wanted, const UrlOf& url_of) {
  for (const auto& object : objects) {
    const auto pointer = kube::pod_spec_pointer(object);
    if (pointer.empty() || (!wanted.empty() && object.name() != wanted)) continue;
    for (const auto& container : object.json().at(Json::json_pointer{pointer}).value("containers", Json::array())) {
      const auto look = [&](const std::string& variable) { return variable_in(objects, object.namespace_(), container, variable); };
      if (const auto url = url_of(look, container)) return NamedDatabase{object.name(), *url};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<NamedDatabase> database_of(const std::vector<kube::Object>& objects, const std::string& variable, const std::string& wanted) {
  return first_named(objects, wanted, [&](const auto& look, const Json&) {
    auto url = look(variable);
    return url && names_a_postgres(*url) ? url : std::nullopt;
  });
}

std::optional<NamedDatabase> database_in_pieces(const std::vector<kube::Object>& objects, const std::string& wanted, bool asked) {
  return first_named(objects, wanted, [&](const auto& look, const Json& container) -> std::optional<std::string> {
    if (store_of_image(container.value("image", "")) != io::Store::none) return std::nullopt;
    const auto pieces = in_pieces(io::Store::postgres, look, {}, {true, asked});
    return pieces ? std::optional{pieces->url} : std::nullopt;
  });
}

std::optional<nlohmann::json> service_of(Cluster& cluster, const std::string& host, const Limits& limits) {
  // SERVICE, SERVICE.NAMESPACE, SERVICE.NAMESPACE.svc…
  const auto dot = host.find('.');
  const auto service_name = host.substr(0, dot);
  auto namespace_ = cluster.namespace_();
  if (dot != std::string::npos) {
    const auto rest = host.substr(dot + 1);
    const auto end = rest.find('.');
    namespace_ = rest.substr(0, end);
    if (end != std::string::npos && !rest.substr(end + 1).starts_with("svc")) return std::nullopt;
  }
  if (service_name.empty() || service_name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) return std::nullopt;
  auto service = cluster.api().find({"v1", "Service", namespace_, service_name}, limits);
  if (!service || !service->at("spec").contains("selector")) return std::nullopt;
  return service;
}

std::optional<ServicePod> pod_behind(Cluster& cluster, const std::string& host, int port, const Limits& limits) {
  const auto service = service_of(cluster, host, limits);
  if (!service) return std::nullopt;
  const auto namespace_ = service->at("metadata").at("namespace").get<std::string>();
  std::string selector;
  for (const auto& [name, value] : service->at("spec").at("selector").items()) selector += fmt::format("{}{}={}", selector.empty() ? "" : ",", name, value.get<std::string>());
  for (const auto& json : cluster.api().list("v1", "Pod", namespace_, {selector, {}}, limits)) {
    const kube::Object pod{json};
    if (!kube::summarise_pod(pod).ready) continue;
    const auto& containers = json.at("spec").at("containers");
    std::string name = containers.front().value("name", "");
    for (const auto& container : containers) {
      for (const auto& open : container.value("ports", Json::array())) {
        if (open.value("containerPort", 0) == port) name = container.value("name", "");
      }
    }
    return ServicePod{fmt::format("{}/{}/{}", namespace_, pod.name(), name), pod.name()};
  }
  return std::nullopt;
}

}  // namespace codops::ops::kubernetes

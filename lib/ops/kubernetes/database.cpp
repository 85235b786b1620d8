#include "lib/ops/kubernetes/database.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/io/crypto.hpp"
#include "lib/kube/expansion.hpp"
#include "lib/kube/summary.hpp"
#include "lib/ops/store_kind.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

bool names_a_postgres(std::string_view url) { return url.starts_with("postgres") || url.find("host=") != std::string_view::npos; }

std::optional<std::string> value_of(const Json& object, const char* kind, const std::string& key) {
  for (const char* field : {"stringData", "data"}) {
    if (!object.contains(field) || !object.at(field).is_object() || !object.at(field).contains(key)) continue;
    auto text = object.at(field).at(key).get<std::string>();
    if (std::string_view{kind} != "Secret" || std::string_view{field} != "data") return text;
    std::erase(text, '\n');  // kustomize breaks long ones into lines
    return io::from_base64(text);
  }
  return std::nullopt;
}

// The environment of one container, out of ConfigMaps and Secrets among the objects, else of those that nobody has in a manifest.
class Variables {
 public:
  Variables(const std::vector<kube::Object>& objects, std::string namespace_, const Json& container, const ReadLive& live)
      : objects_{objects}, namespace__{std::move(namespace_)}, env_(container.value("env", Json::array())), env_from_(container.value("envFrom", Json::array())), live_{live} {}  // braces around the JSON would make an array of it

  std::optional<std::string> operator()(const std::string& variable) const { return before(variable, env_.size()); }

 private:
  // As the entry number `end` of env sees it; the last of a name wins.
  std::optional<std::string> before(const std::string& variable, std::size_t end) const {
    for (auto i = end; i-- > 0;) {
      const auto& entry = env_.at(i);
      if (entry.value("name", "") != variable) continue;
      if (entry.contains("value")) {
        return kube::expand_references(entry.at("value").get<std::string>(), [&](const std::string& name) { return before(name, i); });
      }
      const auto from = entry.value("valueFrom", Json::object());
      for (const auto& [field, kind] : {std::pair{"secretKeyRef", "Secret"}, {"configMapKeyRef", "ConfigMap"}}) {
        if (from.contains(field)) return value_in(kind, from.at(field).value("name", ""), from.at(field).value("key", ""));
      }
      return std::nullopt;
    }
    std::optional<std::string> found;  // the last source wins
    for (const auto& source : env_from_) {
      const auto prefix = source.value("prefix", "");
      if (!variable.starts_with(prefix)) continue;
      for (const auto& [field, kind] : {std::pair{"secretRef", "Secret"}, {"configMapRef", "ConfigMap"}}) {
        if (!source.contains(field)) continue;
        if (auto value = value_in(kind, source.at(field).value("name", ""), variable.substr(prefix.size()))) found = std::move(value);
      }
    }
    return found;
  }

  std::optional<std::string> value_in(const char* kind, const std::string& name, const std::string& key) const {
    for (const auto& object : objects_) {
      if (object.kind() == kind && object.name() == name && object.namespace_() == namespace__) return value_of(object.json(), kind, key);
    }
    const auto object = live_ ? live_(kind, namespace__, name) : std::nullopt;
    return object ? value_of(*object, kind, key) : std::nullopt;
  }

  const std::vector<kube::Object>& objects_;
  std::string namespace__;
  Json env_, env_from_;
  const ReadLive& live_;
};

// The first that `url_of` has an answer for, in the environment of a container of each workload.
template <class UrlOf>
std::optional<NamedDatabase> first_named(const std::vector<kube::Object>& objects, const std::string& wanted, const ReadLive& live, const UrlOf& url_of) {
  for (const auto& object : objects) {
    const auto pointer = kube::pod_spec_pointer(object);
    if (pointer.empty() || (!wanted.empty() && object.name() != wanted)) continue;
    for (const auto& container : object.json().at(Json::json_pointer{pointer}).value("containers", Json::array())) {
      const Variables look{objects, object.namespace_(), container, live};
      if (const auto url = url_of(look, container)) return NamedDatabase{object.name(), *url};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<NamedDatabase> database_of(const std::vector<kube::Object>& objects, const std::string& variable, const std::string& wanted, const ReadLive& live) {
  return first_named(objects, wanted, live, [&](const auto& look, const Json&) {
    auto url = look(variable);
    return url && names_a_postgres(*url) ? url : std::nullopt;
  });
}

std::optional<NamedDatabase> database_in_pieces(const std::vector<kube::Object>& objects, const std::string& wanted, bool asked, const ReadLive& live) {
  return first_named(objects, wanted, live, [&](const auto& look, const Json& container) -> std::optional<std::string> {
    if (store_of_image(container.value("image", "")) != io::Store::none) return std::nullopt;
    const auto pieces = in_pieces(io::Store::postgres, look, {}, {true, asked});
    return pieces ? std::optional{pieces->url} : std::nullopt;
  });
}

bool holds_postgres(const std::vector<kube::Object>& objects) {
  return std::any_of(objects.begin(), objects.end(), [](const kube::Object& object) {
    const auto pointer = kube::pod_spec_pointer(object);
    if (pointer.empty()) return false;
    const auto containers = object.json().at(Json::json_pointer{pointer}).value("containers", Json::array());
    return std::any_of(containers.begin(), containers.end(), [](const Json& container) { return store_of_image(container.value("image", "")) == io::Store::postgres; });
  });
}

struct LiveObjects::Read {
  std::map<std::tuple<std::string, std::string, std::string>, std::optional<Json>> objects;
};

LiveObjects::LiveObjects(Cluster& cluster, Limits limits) : cluster_{cluster}, limits_{std::move(limits)}, read_{std::make_unique<Read>()} {}
LiveObjects::~LiveObjects() = default;

std::optional<nlohmann::json> LiveObjects::operator()(const std::string& kind, const std::string& namespace_, const std::string& name) {
  const auto [at, first] = read_->objects.try_emplace({kind, namespace_, name});
  if (!first) return at->second;
  try {
    at->second = cluster_.api().find({"v1", kind, namespace_, name}, limits_);
    if (!at->second) unread_.push_back(fmt::format("{} {}: it is not there", kind, name));
  } catch (const engine::kubernetes::ApiError& error) {
    if (error.status() != 403) throw;
    unread_.push_back(fmt::format("{} {}: this user may not read it", kind, name));
  }
  return at->second;
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

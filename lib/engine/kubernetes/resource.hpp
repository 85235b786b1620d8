#pragma once
// Kinds and where their objects are. Well-known kinds need no discovery; all others are asked for once.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codops::engine::kubernetes {

// Names one object. namespace_ is empty for kinds that have none.
struct ObjectRef {
  std::string api_version;  // "apps/v1", "v1"
  std::string kind;         // "Deployment"
  std::string namespace_;
  std::string name;
  auto operator<=>(const ObjectRef&) const = default;
  std::string text() const;  // "Deployment shop/backend"
};
// Of an object's own apiVersion, kind and metadata.
ObjectRef ref_of(const nlohmann::json& object);

struct Resource {
  std::string group, version, kind;  // group is empty for the core
  std::string plural;                // "deployments"
  bool namespaced{true};
  bool preferred{true};              // the server's preferred version of its group
  std::vector<std::string> verbs;    // empty where the kind is well known
  std::string api_version() const;
  // "/apis/apps/v1/namespaces/shop/deployments/backend"; without a namespace: of all, without a name: the collection.
  std::string path(std::string_view namespace_, std::string_view name = {}, std::string_view subresource = {}) const;
};

// nullopt: not one of the kinds that every supported server (1.25 and newer) has.
std::optional<Resource> well_known_resource(std::string_view api_version, std::string_view kind);

// APIGroupDiscoveryList (aggregated), or APIResourceList of one group and version. A group that is Stale is left out and
// named in `stale`.
std::vector<Resource> resources_in(const nlohmann::json& discovery, std::vector<std::string>& stale);

}  // namespace codops::engine::kubernetes

#pragma once
// The application's database as its pods see it, and a way to it from here.
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/kube/object.hpp"
#include "lib/ops/kubernetes/cluster.hpp"

namespace codops::ops::kubernetes {

struct NamedDatabase {
  std::string workload;  // whose environment names it
  std::string url;
};
// A ConfigMap or Secret as the cluster has it: those of no manifest are made by hand, sealed or brought by an operator.
using ReadLive = std::function<std::optional<nlohmann::json>(const std::string& kind, const std::string& namespace_, const std::string& name)>;
// `variable` in the environment of a workload of `objects`, references ($(NAME)) put in: written there, or out of a ConfigMap or Secret that
// `objects` have, else `live`. `wanted`: that workload alone; empty: the first that has it. nullopt: none has a PostgreSQL's.
std::optional<NamedDatabase> database_of(const std::vector<kube::Object>& objects, const std::string& variable, const std::string& wanted, const ReadLive& live = {});

// The same where it is in pieces (DB_HOST, …). `asked`: as in_pieces() of store_kind.hpp has it.
std::optional<NamedDatabase> database_in_pieces(const std::vector<kube::Object>& objects, const std::string& wanted, bool asked, const ReadLive& live = {});

// Whether one of the workloads is a PostgreSQL, by its image.
bool holds_postgres(const std::vector<kube::Object>& objects);

// Each read once; ApiErrors other than 403 and 404 are thrown.
class LiveObjects {
 public:
  LiveObjects(Cluster& cluster, Limits limits);
  ~LiveObjects();
  std::optional<nlohmann::json> operator()(const std::string& kind, const std::string& namespace_, const std::string& name);
  const std::vector<std::string>& unread() const { return unread_; }  // "Secret app: this user may not read it"

 private:
  struct Read;
  Cluster& cluster_;
  Limits limits_;
  std::unique_ptr<Read> read_;
  std::vector<std::string> unread_;
};

struct ServicePod {
  std::string container;  // id, as lib/engine/kubernetes/containers.hpp names it
  std::string name;
};
// The Service with pods that a host name means ("postgres", "postgres.shop.svc.cluster.local"); nullopt: the cluster has none.
std::optional<nlohmann::json> service_of(Cluster& cluster, const std::string& host, const Limits& limits);
// A ready pod behind it; nullopt: there is no such Service, or no pod of it is ready.
std::optional<ServicePod> pod_behind(Cluster& cluster, const std::string& host, int port, const Limits& limits);

}  // namespace codops::ops::kubernetes

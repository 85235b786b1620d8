// What codops says without asking is what the server says.
#include "lib/kube/diff.hpp"
#include "lib/kube/plain.hpp"
#include "tests/integration/kubernetes/cluster.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

using Json = nlohmann::json;

Json config(const std::string& ns, Json labels, Json annotations, Json data) {
  Json made{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "plain"}, {"namespace", ns}}}};
  if (!labels.is_null()) made["metadata"]["labels"] = std::move(labels);
  if (!annotations.is_null()) made["metadata"]["annotations"] = std::move(annotations);
  if (!data.is_null()) made["data"] = std::move(data);
  return made;
}

Json service(const std::string& ns, Json labels, Json spec) {
  Json made{{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", {{"name", "plain"}, {"namespace", ns}}}, {"spec", std::move(spec)}};
  if (!labels.is_null()) made["metadata"]["labels"] = std::move(labels);
  return made;
}

}  // namespace

TEST_CASE("kubernetes: what a plain change makes of an object is what the server's dry run says") {
  const auto cluster = Cluster::find("plain");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& ns = cluster->ns;
  const Json spec{{"selector", {{"app", "web"}}}, {"ports", {{{"port", 80}, {"targetPort", "http"}}}}};
  const std::vector<Json> states{
      config(ns, {{"app", "a"}, {"old", "x"}}, {{"note", "one"}}, {{"keep", "1"}, {"gone.key", "2"}}),
      config(ns, {{"app", "b"}}, nullptr, {{"keep", "1"}, {"new", ""}}),
      config(ns, nullptr, {{"example.com/note", "two"}}, {{"keep", "other"}}),
      config(ns, {{"app", "b"}}, nullptr, nullptr),
      config(ns, nullptr, nullptr, {{"keep", "1"}}),
      service(ns, {{"app", "a"}, {"old", "x"}}, spec),
      service(ns, {{"app", "b"}}, spec),
      service(ns, nullptr, spec),
  };
  int compared = 0;
  for (const auto& before : states) {
    for (const auto& after : states) {
      if (before.at("kind") != after.at("kind")) continue;
      CAPTURE(before.dump());
      CAPTURE(after.dump());
      const kube::Object live{*api.apply(before, {.force = true}, cluster->limits).object};
      const auto told = kube::plain_result(live, kube::Object{after});
      REQUIRE(told);
      const kube::Object tried{*api.apply(after, {.force = true, .dry_run = true}, cluster->limits).object};
      CHECK(kube::diff(*told, tried).sign == kube::Sign::same);
      CHECK((kube::diff(live, *told).sign == kube::Sign::same) == (kube::diff(live, tried).sign == kube::Sign::same));
      ++compared;
    }
  }
  CHECK(compared == 34);
}

// Who owns what, on an object that kubectl apply made and kubectl set changed on a real cluster. The conflicts are those that its API
// server answered for the same apply.
#include "lib/kube/ownership.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/io/files.hpp"
#include "tests/support/source_dir.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

Object live() { return Object::parse(io::read_file(codops::tests::source_dir() + "/tests/unit/kube/observations/kubectl_applied.json")); }

Object desired() {
  return Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"own","labels":{"app":"web"}},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},
    "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web:2","ports":[{"containerPort":80}],"env":[{"name":"MODE","value":"b"}]}]}}}})");
}

}  // namespace

TEST_CASE("conflicts, with both values") {
  std::vector<std::string> seen;
  for (const auto& conflict : conflicts_of(live(), desired(), "codops")) seen.push_back(conflict.manager + " " + conflict.field + " " + conflict.theirs + " " + conflict.ours);
  CHECK(seen == std::vector<std::string>{"kubectl-client-side-apply .spec.replicas 2 3", "kubectl-client-side-apply .spec.template.spec.containers[name=\"web\"].env[name=\"MODE\"].value a b",
                                         "kubectl-set .spec.template.spec.containers[name=\"web\"].image web:hand web:2"});
  CHECK(conflicts_of(live(), live(), "codops").empty());
}

TEST_CASE("values that are secret are not shown") {
  auto ours = desired(), theirs = live();
  ours.edit()["spec"]["template"]["spec"]["containers"][0]["env"][0] = {{"name", "DB_PASSWORD"}, {"value", "new"}};
  auto& container = theirs.edit()["spec"]["template"]["spec"]["containers"][0];
  container["env"] = {{{"name", "DB_PASSWORD"}, {"value", "old"}}};
  auto text = theirs.json()["metadata"]["managedFields"].dump();
  for (auto at = text.find("MODE"); at != std::string::npos; at = text.find("MODE")) text.replace(at, 4, "DB_PASSWORD");
  theirs.edit()["metadata"]["managedFields"] = nlohmann::json::parse(text);
  bool seen = false;
  for (const auto& conflict : conflicts_of(theirs, ours, "codops")) {
    if (conflict.field.find("DB_PASSWORD") == std::string::npos) continue;
    seen = true;
    CHECK(conflict.ours == "***");
    CHECK(conflict.theirs == "***");
  }
  CHECK(seen);
}

TEST_CASE("adoption: kubectl's entry becomes ours, edits by hand stay whose they are") {
  const auto adoption = adoption_of(live(), desired(), "codops");
  REQUIRE(adoption);
  CHECK(adoption->from == "kubectl");
  CHECK(adoption->managers == std::vector<std::string>{"kubectl-client-side-apply"});
  CHECK(adoption->drops == std::vector<std::string>{".metadata.labels.old", ".spec.template.spec.containers[name=\"web\"].env[name=\"OLD\"]"});
  const auto patch = nlohmann::json::parse(adoption->patch);
  CHECK(patch[0]["path"] == "/metadata/resourceVersion");
  CHECK(patch[0]["value"] == live().resource_version());
  CHECK(patch[2]["op"] == "remove");
  std::vector<std::string> managers;
  for (const auto& entry : patch[1]["value"]) managers.push_back(entry["manager"].get<std::string>() + " " + entry["operation"].get<std::string>());
  std::sort(managers.begin(), managers.end());
  CHECK(managers == std::vector<std::string>{"codops Apply", "kube-controller-manager Update", "kubectl-set Update"});
  CHECK(adoption->patch.find("f:kubectl.kubernetes.io/last-applied-configuration") == std::string::npos);

  // As the patch leaves it, nothing is left to take over.
  auto after = live();
  after.edit()["metadata"]["managedFields"] = patch[1]["value"];
  CHECK_FALSE(adoption_of(after, desired(), "codops"));
  CHECK(conflicts_of(after, desired(), "codops").size() == 1);
}

TEST_CASE("adoption from Helm names the release") {
  auto theirs = live();
  theirs.set_annotation("meta.helm.sh/release-name", "shop");
  theirs.edit()["metadata"]["annotations"].erase("kubectl.kubernetes.io/last-applied-configuration");
  for (auto& entry : theirs.edit()["metadata"]["managedFields"]) {
    if (entry["manager"] == "kubectl-client-side-apply") entry["manager"] = "helm";
  }
  const auto adoption = adoption_of(theirs, desired(), "codops");
  REQUIRE(adoption);
  CHECK(adoption->from == "Helm release \"shop\"");
  CHECK(adoption->drops == std::vector<std::string>{".metadata.labels.old", ".spec.template.spec.containers[name=\"web\"].env[name=\"OLD\"]"});
  CHECK(nlohmann::json::parse(adoption->patch).size() == 2);
}

TEST_CASE("owners") {
  const auto owners = owners_of(live());
  REQUIRE(owners.size() == 3);
  CHECK(owners[1].fields == std::vector<std::string>{".spec.template.spec.containers[name=\"web\"].image"});
  CHECK(owners[2].subresource == "status");
}

TEST_CASE("what an object was is given back with its owners") {
  const auto before = as_it_was(live());
  CHECK(before.json()["metadata"].contains("managedFields"));
  CHECK(before.annotation("kubectl.kubernetes.io/last-applied-configuration") == live().annotation("kubectl.kubernetes.io/last-applied-configuration"));
  CHECK_FALSE(before.json().contains("status"));
  CHECK_FALSE(body_of(before).json()["metadata"].contains("managedFields"));
  auto now = live();
  now.edit()["metadata"]["resourceVersion"] = "77";
  now.edit()["metadata"]["managedFields"] = {{{"manager", "codops"}, {"operation", "Apply"}, {"fieldsV1", nlohmann::json::object()}},
                                             {{"manager", "controller"}, {"operation", "Update"}, {"subresource", "status"}, {"fieldsV1", nlohmann::json::object()}}};
  const auto patch = nlohmann::json::parse(ownership_patch(now, before));
  CHECK(patch[0]["value"] == "77");
  std::vector<std::string> managers;
  for (const auto& entry : patch[1]["value"]) managers.push_back(entry["manager"]);
  CHECK(std::count(managers.begin(), managers.end(), "codops") == 0);
  CHECK(std::count(managers.begin(), managers.end(), "kubectl-set") == 1);
  CHECK(managers.back() == "controller");
  CHECK(ownership_patch(now, desired()).empty());
}

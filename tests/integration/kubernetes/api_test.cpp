#include "cluster.hpp"

using namespace codops;
using namespace codops::tests;
using namespace codops::engine;
using nlohmann::json;
using kubernetes::ApiError;

TEST_CASE("kubernetes: objects are made, read, changed and removed") {
  const auto cluster = Cluster::find("objects");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  CHECK(api.version(limits).starts_with("v1."));
  CHECK(std::chrono::abs(api.client().ask_server_now(limits) - SystemClock{}.now()) < std::chrono::seconds{10});

  const auto ref = cluster->ref("ConfigMap", "one");
  CHECK(!api.find(ref, limits));
  const auto made = api.create(cluster->config_map("one", {{"a", "1"}}), limits);
  CHECK_THROWS_AS(api.create(cluster->config_map("one", {{"a", "1"}}), limits), ApiError);
  auto changed = api.get(ref, limits);
  changed["data"]["a"] = "2";
  CHECK(text_at(api.replace(changed, limits), {"data", "a"}) == "2");
  try {
    api.replace(changed, limits);  // its resourceVersion is old by now
    FAIL("an old version was accepted");
  } catch (const ApiError& error) {
    CHECK(error.status() == 409);
    CHECK(!error.already_exists());
  }
  api.patch(ref, kubernetes::Api::PatchKind::merge, {{"data", {{"b", "3"}}}}, limits);
  CHECK(text_at(*api.find(ref, limits), {"data", "b"}) == "3");
  CHECK(api.remove(ref, {.uid = "00000000-0000-0000-0000-000000000000"}, limits) == kubernetes::Deletion::other_object);
  CHECK(api.remove(ref, {.uid = text_at(made, {"metadata", "uid"}), .dry_run = true}, limits) == kubernetes::Deletion::started);
  CHECK(api.find(ref, limits));
  CHECK(api.remove(ref, {.uid = text_at(made, {"metadata", "uid"})}, limits) == kubernetes::Deletion::started);
  CHECK(api.remove(ref, {}, limits) == kubernetes::Deletion::absent);
}

TEST_CASE("kubernetes: apply is strict, tells conflicts by field and removes what it no longer has") {
  const auto cluster = Cluster::find("apply");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  const auto ref = cluster->ref("ConfigMap", "one");
  const auto tried = api.apply(cluster->config_map("one", {{"a", "1"}}), {.dry_run = true}, limits);
  CHECK(tried.created);
  CHECK(!api.find(ref, limits));
  CHECK(api.apply(cluster->config_map("one", {{"a", "1"}, {"b", "1"}}), {}, limits).created);
  CHECK(!api.apply(cluster->config_map("one", {{"a", "2"}}), {}, limits).created);
  CHECK(api.find(ref, limits)->at("data") == json{{"a", "2"}});

  auto misspelt = cluster->config_map("two", {{"a", "1"}});
  misspelt["dtaa"] = json::object();
  try {
    api.apply(misspelt, {.dry_run = true}, limits);
    FAIL("an unknown field was accepted");
  } catch (const ApiError& error) {
    CHECK(error.message().find("dtaa") != std::string::npos);
  }
  api.apply(cluster->config_map("one", {{"c", "x"}}), {.manager = "other"}, limits);
  try {
    api.apply(cluster->config_map("one", {{"a", "2"}, {"c", "y"}}), {}, limits);
    FAIL("another's field was overwritten");
  } catch (const ApiError& error) {
    CHECK(error.field_conflict());
    REQUIRE(error.causes().size() == 1);
    CHECK(error.causes()[0].field == ".data.c");
    CHECK(error.message().find("\n  .data.c  conflict with \"other\"") != std::string::npos);
    CHECK(!error.hint().empty());
  }
  CHECK(text_at(*api.apply(cluster->config_map("one", {{"a", "2"}, {"c", "y"}}), {.force = true}, limits).object, {"data", "c"}) == "y");

  // What plain updates of another wrote is adopted, and then removed by an apply that lacks it.
  auto live = cluster->config_map("old", {{"keep", "1"}, {"drop", "1"}});
  api.create(live, limits);
  CHECK(api.apply(cluster->config_map("old", {{"keep", "1"}}), {}, limits).object->at("data").size() == 2);
  CHECK(api.adopt(cluster->ref("ConfigMap", "old"), {"codops"}, limits));
  CHECK(api.apply(cluster->config_map("old", {{"keep", "1"}}), {}, limits).object->at("data") == json{{"keep", "1"}});
  CHECK(!api.adopt(cluster->ref("ConfigMap", "old"), {"kubectl-client-side-apply"}, limits));

  try {
    api.apply({{"apiVersion", "apps/v1"}, {"kind", "Deployment"}, {"metadata", {{"name", "Bad_Name"}, {"namespace", cluster->ns}}}, {"spec", {{"selector", {{"matchLabels", {{"a", "b"}}}}}, {"template", {{"metadata", {{"labels", {{"a", "c"}}}}}, {"spec", {{"containers", {{{"name", "x"}, {"image", "y"}}}}}}}}}}},
              {.dry_run = true}, limits);
    FAIL("an invalid object was accepted");
  } catch (const ApiError& error) {
    CHECK(error.status() == 422);
    CHECK(error.causes().size() >= 2);
  }
}

TEST_CASE("kubernetes: many objects at once, listed in pages") {
  const auto cluster = Cluster::find("many");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  std::vector<json> objects;
  for (int i = 0; i < 600; ++i) objects.push_back(cluster->config_map("m-" + std::to_string(i), {{"n", std::to_string(i)}}));
  objects.push_back(cluster->config_map("Not_A_Name", {}));
  const auto outcomes = api.apply_all(objects, {}, limits);
  REQUIRE(outcomes.size() == 601);
  for (std::size_t i = 0; i < 600; ++i) {
    REQUIRE(!outcomes[i].failure);
    CHECK(text_at(*outcomes[i].applied.object, {"data", "n"}) == std::to_string(i));
  }
  CHECK_THROWS_AS(std::rethrow_exception(outcomes[600].failure), ApiError);
  const auto found = api.list("v1", "ConfigMap", cluster->ns, {}, limits);
  CHECK(found.size() == 601);  // and kube-root-ca.crt
  CHECK(found[0].at("kind") == "ConfigMap");
  CHECK(api.list("v1", "ConfigMap", cluster->ns, {.fields = "metadata.name=m-7"}, limits).size() == 1);
  const auto read = api.find_all({cluster->ref("ConfigMap", "m-1"), cluster->ref("ConfigMap", "none"), cluster->ref("ConfigMap", "m-3")}, limits);
  CHECK(text_at(read[0], {"data", "n"}) == "1");
  CHECK(read[1].is_null());
  CHECK(text_at(read[2], {"data", "n"}) == "3");
}

TEST_CASE("kubernetes: kinds are known or discovered, also new ones") {
  const auto cluster = Cluster::find("kinds");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  // Everything that is taken as known is as the server says.
  std::size_t known = 0;
  for (const auto& resource : api.all_resources(limits)) {
    const auto same = kubernetes::well_known_resource(resource.api_version(), resource.kind);
    if (!same) continue;
    ++known;
    CHECK_MESSAGE(same->plural == resource.plural, resource.kind);
    CHECK_MESSAGE(same->namespaced == resource.namespaced, resource.kind);
  }
  CHECK(known == 39);
  CHECK(api.resource("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", limits).plural == "flowschemas");
  try {
    api.resource("apps/v1", "Deploymnt", limits);
    FAIL("there is no such kind");
  } catch (const Failure& failure) {
    CHECK(failure.hint() == "did you mean Deployment?");
  }
  try {
    api.resource("extensions/v1beta1", "Deployment", limits);
    FAIL("there is no such version");
  } catch (const Failure& failure) {
    CHECK(failure.hint() == "it has Deployment in apps/v1");
  }
  const auto group = "t" + std::to_string(::getpid()) + ".codops.test";
  const kubernetes::ObjectRef crd{"apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "things." + group};
  api.apply({{"apiVersion", crd.api_version},
             {"kind", crd.kind},
             {"metadata", {{"name", crd.name}}},
             {"spec",
              {{"group", group},
               {"scope", "Namespaced"},
               {"names", {{"kind", "Thing"}, {"plural", "things"}}},
               {"versions", {{{"name", "v1"}, {"served", true}, {"storage", true}, {"schema", {{"openAPIV3Schema", {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}}}}}}}}}}},
            {}, limits);
  CHECK(!api.find_resource(group + "/v1", "Thing", limits));
  for (;;) {  // established a moment later
    api.rediscover();
    if (api.find_resource(group + "/v1", "Thing", limits)) break;
    limits.check("the new kind");
    limits.within(Milliseconds{50}).wait(-1, 0);
  }
  for (;;) {
    try {
      api.apply({{"apiVersion", group + "/v1"}, {"kind", "Thing"}, {"metadata", {{"name", "x"}, {"namespace", cluster->ns}}}}, {}, limits);
      break;
    } catch (const ApiError&) {
      limits.check("the new kind");
      limits.within(Milliseconds{50}).wait(-1, 0);
    }
  }
  CHECK(api.list(group + "/v1", "Thing", cluster->ns, {}, limits).size() == 1);
  api.remove(crd, {}, limits);
}

TEST_CASE("kubernetes: scale, permissions and who may not") {
  const auto cluster = Cluster::find("scale");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  api.apply({{"apiVersion", "apps/v1"}, {"kind", "Deployment"}, {"metadata", {{"name", "web"}, {"namespace", cluster->ns}}},
             {"spec", {{"replicas", 1}, {"selector", {{"matchLabels", {{"app", "web"}}}}}, {"template", {{"metadata", {{"labels", {{"app", "web"}}}}}, {"spec", cluster->fake_pod("x")["spec"]}}}}}},
            {}, limits);
  api.set_scale(cluster->ref("Deployment", "web"), 3, limits);
  CHECK(api.scale(cluster->ref("Deployment", "web"), limits).wanted == 3);

  kubernetes::AccessQuestion question{.verb = "create", .plural = "pods", .subresource = "exec", .namespace_ = cluster->ns};
  CHECK(api.allowed(question, limits));
  auto connection = Cluster::connection_of(cluster->folder + "/admin.kubeconfig");
  connection.credentials.impersonate_user = "nobody";
  connection.credentials.impersonate_groups = {"guests", "visitors"};
  kubernetes::Api nobody{connection};
  CHECK(!nobody.allowed(question, limits));
  try {
    nobody.list("v1", "Secret", cluster->ns, {}, limits);
    FAIL("nobody may list secrets");
  } catch (const ApiError& error) {
    CHECK(error.status() == 403);
    CHECK(error.message().find("\"nobody\" cannot list resource \"secrets\"") != std::string::npos);
    CHECK(error.hint().find("secrets") != std::string::npos);
  }
}

TEST_CASE("kubernetes: the server's certificate is verified, by its authority and its name") {
  const auto cluster = Cluster::find("tls");
  if (!cluster) return;
  const auto& limits = cluster->limits;
  const auto good = Cluster::connection_of(cluster->folder + "/admin.kubeconfig");
  auto wrong = good;
  wrong.server.tls.ca_pem = wrong.server.tls.cert_pem;  // a certificate, but not the authority
  try {
    kubernetes::Api{wrong}.version(limits);
    FAIL("a wrong authority was accepted");
  } catch (const io::HttpFailure& failure) {
    CHECK(failure.kind() == io::HttpFailure::Kind::tls);
    CHECK(failure.hint().find("certificate-authority-data") != std::string::npos);
  }
  auto named = good;
  named.server.tls_name = "kubernetes.default.svc";
  CHECK(kubernetes::Api{named}.version(limits).starts_with("v1."));
  named.server.tls_name = "other.example.com";
  CHECK_THROWS_AS(kubernetes::Api{named}.version(limits), io::HttpFailure);
}

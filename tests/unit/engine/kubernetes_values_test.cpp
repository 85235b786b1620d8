#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api_error.hpp"
#include "lib/engine/kubernetes/containers.hpp"
#include "lib/engine/kubernetes/credentials.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/engine/kubernetes/log_lines.hpp"
#include "lib/engine/kubernetes/managed_fields.hpp"
#include "lib/engine/kubernetes/object_name.hpp"
#include "lib/engine/kubernetes/resource.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "tests/support/source_dir.hpp"

using namespace codops;
using namespace codops::engine::kubernetes;
using nlohmann::json;

TEST_CASE("kubernetes: how a command ended") {
  CHECK(parse_exec_status(R"({"status":"Success"})").exit_code == 0);
  CHECK(parse_exec_status(R"({"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"137"}]}})").exit_code == 137);
  const auto not_run = parse_exec_status(R"({"status":"Failure","reason":"InternalError","message":"executable file not found"})");
  CHECK(not_run.exit_code == 127);
  CHECK(not_run.message == "executable file not found");
  const auto broken = parse_exec_status(R"({"status":"Failure","reason":"InternalError","message":"container not running"})");
  CHECK(!broken.exit_code);
  CHECK(broken.message == "container not running");
  CHECK(!parse_exec_status(R"({"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"x"}]}})").exit_code);
  CHECK(parse_exec_status("not JSON").message == "not JSON");
}

TEST_CASE("kubernetes: lines of a log come once, whatever is read again") {
  std::string told;
  LogLines lines{[&told](std::string_view line, bool ended) { told += std::string{line} + (ended ? "|" : "!"); }};
  CHECK(!lines.since());
  lines.feed("2026-11-26T10:00:00.1Z a\n2026-11-26T10:00:00.12Z b\n2026-11-26T10:00:00.12Z c\n2026-11-26T10:00:01Z ha");
  CHECK(told == "a|b|c|");
  lines.cut_off();
  CHECK(to_rfc3339(*lines.since()) == "2026-11-26T10:00:00.000Z");
  // From the second on: what was told comes again, with a third line of the same moment.
  lines.feed("2026-11-26T10:00:00.1Z a\n2026-11-26T10:00:00.12Z b\n2026-11-26T10:00:00.120000000Z c\n2026-11-26T10:00:00.12Z d\n2026-11-26T10:00:01Z half \n");
  CHECK(told == "a|b|c|d|half |");
  lines.cut_off();
  lines.feed("2026-11-26T10:00:01Z half \n2026-11-26T10:00:02Z\n2026-11-26T10:00:03Z last");
  lines.end();
  CHECK(told == "a|b|c|d|half ||last!");
}

TEST_CASE("kubernetes: a line that comes after a younger one of the other stream is told, and once") {
  std::string told;
  LogLines lines{[&told](std::string_view line, bool) { told += line; }};
  lines.feed("2026-11-26T10:00:00.9Z a\n2026-11-26T10:00:02.5Z b\n");
  lines.cut_off();
  CHECK(to_rfc3339(*lines.since()) == "2026-11-26T10:00:00.000Z");
  const auto before = lines.taken();
  lines.feed("2026-11-26T10:00:00.9Z a\n2026-11-26T10:00:02.5Z b\n");
  CHECK(lines.taken() == before);
  lines.feed("2026-11-26T10:00:02.4Z c\n2026-11-26T10:00:02.5Z d\n2026-11-26T10:00:0");
  CHECK(told == "abcd");
  CHECK(lines.taken() > before);
  lines.cut_off();
  lines.feed("2026-11-26T09:00:00Z long ago\n2026-11-26T10:00:02.5Z b\n2026-11-26T10:00:02.4Z c\n2026-11-26T10:00:02.5Z d\n2026-11-26T10:00:03Z e\n");
  CHECK(told == "abcde");
}

TEST_CASE("kubernetes: where objects are") {
  CHECK(well_known_resource("apps/v1", "Deployment")->path("shop", "web", "scale") == "/apis/apps/v1/namespaces/shop/deployments/web/scale");
  CHECK(well_known_resource("v1", "Pod")->path("") == "/api/v1/pods");
  CHECK(well_known_resource("v1", "Namespace")->path("ignored", "shop") == "/api/v1/namespaces/shop");
  CHECK(!well_known_resource("apps/v1beta1", "Deployment"));
  CHECK(ObjectRef{"v1", "Node", "", "n"}.text() == "Node n");
}

TEST_CASE("kubernetes: aggregated discovery, where a group does not answer") {
  const auto discovery = json::parse(R"({"kind":"APIGroupDiscoveryList","items":[
    {"metadata":{"name":"apps"},"versions":[{"version":"v1","freshness":"Current","resources":[
      {"resource":"deployments","responseKind":{"group":"","kind":"Deployment","version":""},"scope":"Namespaced","verbs":["get"],"subresources":[{"subresource":"scale"}]}]}]},
    {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]})");
  std::vector<std::string> stale;
  const auto found = resources_in(discovery, stale);
  REQUIRE(found.size() == 1);
  CHECK(found[0].api_version() == "apps/v1");
  CHECK(found[0].plural == "deployments");
  CHECK(stale == std::vector<std::string>{"metrics.k8s.io/v1beta1"});
  const auto old = resources_in(json::parse(R"({"kind":"APIResourceList","groupVersion":"batch/v1","resources":[{"name":"jobs","kind":"Job","namespaced":true,"verbs":[]},{"name":"jobs/status","kind":"Job","namespaced":true}]})"), stale);
  REQUIRE(old.size() == 1);
  CHECK(old[0].api_version() == "batch/v1");
}

TEST_CASE("kubernetes: ownership of fields is taken over, of the same version and not of status") {
  const auto live = json::parse(R"({"apiVersion":"apps/v1","metadata":{"managedFields":[
    {"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"apps/v1","fieldsV1":{"f:spec":{"f:replicas":{}}}},
    {"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"apps/v1beta1","fieldsV1":{"f:old":{}}},
    {"manager":"codops","operation":"Apply","apiVersion":"apps/v1","fieldsV1":{"f:spec":{"f:paused":{}}}},
    {"manager":"kube-controller-manager","operation":"Update","apiVersion":"apps/v1","subresource":"status","fieldsV1":{"f:status":{}}}]}})");
  const auto fields = adopted_fields(live, {"kubectl-client-side-apply"}, "codops");
  REQUIRE(fields);
  REQUIRE(fields->size() == 3);
  CHECK(fields->back()["manager"] == "codops");
  CHECK(fields->back()["operation"] == "Apply");
  CHECK(fields->back()["fieldsV1"] == json::parse(R"({"f:spec":{"f:replicas":{},"f:paused":{}}})"));
  CHECK(!adopted_fields(live, {"helm"}, "codops"));
}

TEST_CASE("kubernetes: whose pod it is, and how a container is named") {
  const auto pod = [](const std::string& kind, const std::string& name, const std::string& hash) {
    return json{{"metadata", {{"name", "p"}, {"labels", {{"pod-template-hash", hash}}}, {"ownerReferences", {{{"kind", kind}, {"name", name}, {"controller", true}}}}}}};
  };
  CHECK(workload_of(pod("ReplicaSet", "backend-5d4f", "5d4f")) == "backend");
  CHECK(workload_of(pod("ReplicaSet", "lonely", "5d4f")) == "lonely");
  CHECK(workload_of(pod("StatefulSet", "postgres", "")) == "postgres");
  CHECK(workload_of(json{{"metadata", {{"name", "p"}}}}) == "p");
  const auto named = [](const std::string& id) {
    const auto parts = parse_container_id(id, "shop");
    return parts.namespace_ + ":" + parts.pod + ":" + parts.container;
  };
  CHECK(named("p") == "shop:p:");
  CHECK(named("p/c") == "shop:p:c");
  CHECK(named("n/p/c") == "n:p:c");
}

TEST_CASE("kubernetes: names that the cluster takes stay what they are, others stay apart") {
  CHECK(dns_label("shop") == "shop");
  CHECK(dns_label("shop_one") != dns_label("shop-one"));
  CHECK(dns_label("shop_one").find('_') == std::string::npos);
  CHECK(dns_label(std::string(60, 'a')).size() <= 40);
  CHECK(dns_label(std::string(60, 'a')) != dns_label(std::string(61, 'a')));
  CHECK(label_value("Shop_one.x") == "Shop_one.x");
  CHECK(label_value("-x") != "-x");
}

TEST_CASE("kubernetes: a refusal does not quote the pods that it refuses") {
  // As Kubernetes 1.36 said it of a Job whose image was changed.
  const auto body = io::read_file(tests::source_dir() + "/tests/unit/kube/observations/refused_job.json");
  REQUIRE(body.find("EnvPassw0rd-888") != std::string::npos);
  const auto error = api_error(422, body, "apply Job raw/once");
  CHECK(error.message() == "apply Job raw/once: Job.batch \"once\" is invalid: spec.template: field is immutable");
  REQUIRE(error.causes().size() == 1);
  CHECK(error.causes()[0].message == "field is immutable");

  const auto message_of = [](const char* cause) {
    const json status{{"kind", "Status"}, {"reason", "Invalid"}, {"message", std::string{"Pod \"p\" is invalid: spec.x: "} + cause},
                      {"details", {{"causes", {{{"reason", "FieldValueInvalid"}, {"field", "spec.x"}, {"message", cause}}}}}}};
    return api_error(422, status.dump(), {}).message();
  };
  CHECK(message_of("Invalid value: core.PodTemplateSpec{ObjectMeta:v1.ObjectMeta{Name:\"\"}, Env: \"secret\"}: field is immutable") == "Pod \"p\" is invalid: spec.x: field is immutable");
  CHECK(message_of("Invalid value: [{\"name\":\"secret\"}]: may not change") == "Pod \"p\" is invalid: spec.x: may not change");
  CHECK(message_of("Invalid value: 70000: must be between 1 and 65535, inclusive") == "Pod \"p\" is invalid: spec.x: Invalid value: 70000: must be between 1 and 65535, inclusive");
  CHECK(message_of("Invalid value: \"a{b}: c\": a lowercase name") == "Pod \"p\" is invalid: spec.x: Invalid value: \"a{b}: c\": a lowercase name");
}

TEST_CASE("kubernetes: a refusal quotes no value of a Secret") {
  const json secret{{"apiVersion", "v1"}, {"kind", "Secret"}, {"stringData", {{"PIN", 1234567890123}, {"TOKEN", "to\"ken-one"}, {"URL", "postgres://u:pass-two@db/x"}}},
                    {"data", {{"OLD", io::to_base64("old-three")}}}};
  const auto message_of = [&](const std::string& message) {
    return api_error(500, json{{"kind", "Status"}, {"message", message}}.dump(), "apply Secret shop/creds", secret.dump()).message();
  };
  CHECK(message_of("failed to create typed patch object (shop/creds; /v1, Kind=Secret): .stringData.PIN: expected string, got &value.valueUnstructured{Value:1234567890123}") ==
        "apply Secret shop/creds: failed to create typed patch object (shop/creds; /v1, Kind=Secret): .stringData.PIN: expected string, got a number: put it in quotes");
  CHECK(message_of("errors:\n  .a: expected string, got &value.valueUnstructured{Value:true}\n  .b: expected string, got &{map[x:1]}") ==
        "apply Secret shop/creds: errors:\n  .a: expected string, got true or false: put it in quotes\n  .b: expected string, got a mapping");
  for (const std::string& quoted : {std::string{"1234567890123"}, std::string{R"(to\"ken-one)"}, io::to_base64("to\"ken-one"), io::to_base64("1234567890123"), std::string{"pass-two"},
                                    std::string{"old-three"}, io::to_base64("old-three")}) {
    const auto said = message_of("a webhook says: " + quoted + " is weak");
    CHECK(said == "apply Secret shop/creds: a webhook says: *** is weak");
  }
  // Whoever sends no Secret is told what is quoted.
  CHECK(api_error(400, json{{"kind", "Status"}, {"message", "old-three"}}.dump(), {}, R"({"kind":"ConfigMap","data":{"a":"old-three"}})").message() == "old-three");
}

TEST_CASE("kubernetes: a plugin that is missing or hangs is named; the kubeconfig's own hint comes first") {
  Connection connection;
  connection.server.url = "https://localhost";
  connection.user = "dev";
  connection.credentials.exec.emplace();
  connection.credentials.exec->api_version = "client.authentication.k8s.io/v1";
  const auto failure_of = [&](const std::string& command, const std::vector<std::string>& args, const Limits& limits) {
    connection.credentials.exec->command = command;
    connection.credentials.exec->args = args;
    const SystemClock clock;
    Authenticator authenticator{connection, clock};
    try {
      authenticator.proof(limits);
    } catch (const Failure& failure) {
      return failure;
    }
    return Failure{Exit::ok, "none"};
  };
  const auto missing = failure_of("no-such-plugin", {}, {});
  CHECK(missing.code() == Exit::config);
  CHECK(missing.message().find("the plugin \"no-such-plugin\" of user \"dev\"") == 0);
  connection.credentials.exec->install_hint = "apt install the-plugin";
  CHECK(failure_of("no-such-plugin", {}, {}).hint() == "apt install the-plugin");
  const auto hung = failure_of("sleep", {"30"}, Limits{}.within(Milliseconds{300}));
  CHECK(hung.code() == Exit::deadline);
  CHECK(hung.message().find("the plugin \"sleep\" of user \"dev\"") == 0);
  CHECK(hung.hint().find("did not answer in time") != std::string::npos);
}

TEST_CASE("kubernetes: what a plugin says is shown without tokens") {
  CHECK(shown_words("login failed:\n  no session for alice, see /home/alice/.config/tool/config.yaml\n") == "login failed: no session for alice, see /home/alice/.config/tool/config.yaml");
  CHECK(shown_words("token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9.eyJzdWIiOiJhIn0 expired") == "token *** expired");
  CHECK(shown_words("AKIA0123456789ABCDEF0123") == "***");
  CHECK(shown_words(std::string(1000, 'a')).size() < 310);
}

TEST_CASE("kubernetes: a refusal names the subresource and the kind of role") {
  const auto status = [](const std::string& message) { return R"({"kind":"Status","reason":"Forbidden","code":403,"details":{"kind":"pods"},"message":")" + message + "\"}"; };
  const auto exec = api_error(403, status(R"(pods \"a\" is forbidden: User \"u\" cannot create resource \"pods/exec\" in API group \"\" in the namespace \"shop\")"), "");
  CHECK(exec.hint() == R"(a Role in shop of your user needs it: create "pods/exec" in API group "")");
  const auto whole = api_error(403, status(R"(namespaces is forbidden: User \"u\" cannot list resource \"namespaces\" in API group \"\" at the cluster scope)"), "");
  CHECK(whole.hint() == R"(a ClusterRole of your user needs it: list "namespaces" in API group "")");
}

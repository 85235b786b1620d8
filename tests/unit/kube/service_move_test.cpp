#include "lib/kube/service_move.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/kube/service_address.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

Object service(const std::string& spec) { return Object::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"n"},"spec":)" + spec + "}"); }
Object leading_to(const std::string& app, int port = 8080) {
  return service(R"({"selector":{"app":")" + app + R"("},"ports":[{"port":80,"targetPort":)" + std::to_string(port) + "}]}");
}
Object deployment(const std::string& name, const std::string& labels, const std::string& ports = "8080", int replicas = 2) {
  return Object::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + name + R"(","namespace":"n"},"spec":{"replicas":)" + std::to_string(replicas) +
                       R"(,"template":{"metadata":{"labels":)" + labels + R"(},"spec":{"containers":[{"name":"c","ports":[{"name":"http","containerPort":)" + ports + "}]}]}}}}");
}
const std::string web = R"({"app":"web"})", shop = R"({"app":"shop"})";

}  // namespace

TEST_CASE("a Service that leads to new pods follows them; the old ones stay until then") {
  const auto renamed = move_of(leading_to("web"), leading_to("shop"), {{deployment("web", web), {}, false}, {{}, deployment("shop", shop), false}});
  CHECK(renamed.follows);
  CHECK(renamed.gap.empty());
  // What it leads to is what changes: nothing has to wait.
  CHECK(!move_of(leading_to("web"), leading_to("web"), {{deployment("web", web), deployment("web", web), true}}).follows);
  // The pods that it leads to run already.
  CHECK(!move_of(leading_to("blue"), leading_to("green"), {{deployment("g", R"({"app":"green"})"), deployment("g", R"({"app":"green"})"), false}}).follows);
  // Started from none, beside what serves.
  const auto blue = deployment("b", R"({"app":"blue"})");
  const auto green = deployment("g", R"({"app":"green"})");
  const auto switched = move_of(leading_to("blue"), leading_to("green"), {{blue, blue, false}, {deployment("g", R"({"app":"green"})", "8080", 0), green, false}});
  CHECK(switched.follows);
  CHECK(switched.gap.empty());
  // Blue ends as green starts.
  CHECK(move_of(leading_to("blue"), leading_to("green"), {{blue, deployment("b", R"({"app":"blue"})", "8080", 0), false}, {{}, green, false}}).gap ==
        "service/web: the pods of deployment/b that it leads to go before it leads to others");
}

TEST_CASE("a Service whose pods change on the spot has a gap, unless one side bears both") {
  const auto live = deployment("web", web);
  const auto ports = move_of(leading_to("web"), leading_to("web", 8081), {{live, deployment("web", web, "8081"), true}});
  CHECK(ports.follows);
  CHECK(ports.gap == "service/web: its port 80/TCP leads to 8081, which was 8080, while old and new pods of deployment/web stand side by side and answer at one of them each");
  const auto both = R"(8080},{"containerPort":8081)";
  // The new pods answer at both: after them. The old ones did: at once.
  CHECK(move_of(leading_to("web"), leading_to("web", 8081), {{live, deployment("web", web, both), true}}).follows);
  CHECK(move_of(leading_to("web"), leading_to("web", 8081), {{live, deployment("web", web, both), true}}).gap.empty());
  CHECK(!move_of(leading_to("web"), leading_to("web", 8081), {{deployment("web", web, both), deployment("web", web, "8081"), true}}).follows);
  // By name, of the same number.
  const auto named = service(R"({"selector":{"app":"web"},"ports":[{"port":80,"targetPort":"http"}]})");
  CHECK(move_of(leading_to("web"), named, {{deployment("web", web), live, true}}).gap.empty());
  // Narrowed: old and new pods have what it had. Widened: at once.
  const auto narrow = service(R"({"selector":{"app":"web","version":"v2"},"ports":[{"port":80,"targetPort":8080}]})");
  const auto v2 = deployment("web", R"({"app":"web","version":"v2"})");
  CHECK(move_of(leading_to("web"), narrow, {{live, v2, true}}).follows);
  CHECK(move_of(leading_to("web"), narrow, {{live, v2, true}}).gap.empty());
  CHECK(!move_of(narrow, leading_to("web"), {{v2, deployment("web", R"({"app":"web","version":"v3"})"), true}}).follows);
  // From one label to another on the same pods.
  const auto third = service(R"({"selector":{"app":"web","version":"v3"},"ports":[{"port":80,"targetPort":8080}]})");
  CHECK(move_of(narrow, third, {{v2, deployment("web", R"({"app":"web","version":"v3"})"), true}}).gap.find("deployment/web") != std::string::npos);
}

TEST_CASE("an Ingress that names another Service") {
  const auto to = [](const std::string& name) { return Object::parse(R"({"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i","namespace":"n"},"spec":{"defaultBackend":{"service":{"name":")" + name + R"("}}}})"); };
  CHECK(newly_names(to("web"), to("shop"), {"shop"}));
  CHECK(!newly_names(to("web"), to("shop"), {"other"}));
  CHECK(!newly_names(to("shop"), to("shop"), {"shop"}));
}

TEST_CASE("whether requests go to the pods that a Service means") {
  const auto pod = [](const std::string& name, const char* ready) {
    return Object::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name + R"(","namespace":"n"},"status":{"phase":"Running","conditions":[{"type":"Ready","status":")" + ready + R"("}]}})");
  };
  const auto slice = [](const std::string& name, int port) {
    return Object::parse(R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s","namespace":"n","labels":{"kubernetes.io/service-name":"web"}},
      "endpoints":[{"targetRef":{"name":")" + name + R"("},"conditions":{"ready":true}}],"ports":[{"port":)" + std::to_string(port) + "}]}");
  };
  const auto shown = leading_to("shop");
  CHECK(selection_of(shown) == "app=shop");
  CHECK(reaches_its_pods(shown, {slice("shop-1", 8080)}, {pod("shop-1", "True"), pod("shop-2", "False")}));
  CHECK(!reaches_its_pods(shown, {slice("web-1", 8080)}, {pod("shop-1", "True")}));
  CHECK(!reaches_its_pods(shown, {slice("shop-1", 8080)}, {pod("shop-1", "True"), pod("shop-2", "True")}));
  CHECK(!reaches_its_pods(shown, {slice("shop-1", 8081)}, {pod("shop-1", "True")}));
  CHECK(!reaches_its_pods(shown, {}, {pod("shop-1", "True")}));
}

TEST_CASE("what the server gave a Service is asked for again where it is left open") {
  const auto live = service(R"({"type":"NodePort","clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"ports":[{"port":80,"protocol":"TCP","targetPort":8080,"nodePort":30126}]})");
  const auto address = address_of(live);
  CHECK(has_node_ports(address));
  const auto open = service(R"({"type":"NodePort","ports":[{"port":80,"targetPort":8080},{"port":81}]})");
  const auto back = at_address(open, address);
  CHECK(back.json().at("spec").dump() == R"({"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"ports":[{"nodePort":30126,"port":80,"targetPort":8080},{"port":81}],"type":"NodePort"})");
  CHECK(at_address(service(R"({"clusterIP":"None","ports":[{"port":80}]})"), address).json() == service(R"({"clusterIP":"None","ports":[{"port":80}]})").json());
  CHECK(!at_address(service(R"({"ports":[{"port":80}]})"), address).json().at("spec").at("ports").at(0).contains("nodePort"));
  CHECK(address_of(service(R"({"clusterIP":"None","ports":[{"port":80}]})")).empty());
  const auto balanced = address_of(service(R"({"type":"LoadBalancer","clusterIP":"10.0.0.8","externalTrafficPolicy":"Local","healthCheckNodePort":31000,"ports":[{"port":80}]})"));
  CHECK(!has_node_ports(balanced));
  CHECK(at_address(service(R"({"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[]})"), balanced).json().at("spec").at("healthCheckNodePort") == 31000);
  CHECK(!at_address(service(R"({"type":"LoadBalancer","ports":[]})"), balanced).json().at("spec").contains("healthCheckNodePort"));
}

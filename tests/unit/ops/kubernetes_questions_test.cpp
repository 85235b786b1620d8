#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/io/files.hpp"
#include "lib/ops/kubernetes/services.hpp"
#include "tests/support/fakes.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::ops::kubernetes;
using Json = nlohmann::json;

namespace {

// An API server with one object in every list: its name is the list's path.
struct Site {
  std::mutex mutex;
  std::vector<std::string> asked;  // paths with their queries
  std::string slow, forbidden;     // what they contain
  tests::ScriptedServer server{[this](tests::Peer& peer) {
    const auto request = peer.read_request();
    const auto path = request.substr(4, request.find(' ', 4) - 4);
    {
      const std::lock_guard lock{mutex};
      asked.push_back(path);
    }
    if (!slow.empty() && path.find(slow) != std::string::npos) std::this_thread::sleep_for(std::chrono::milliseconds{50});
    const bool refused = !forbidden.empty() && path.find(forbidden) != std::string::npos;
    const Json item{{"metadata", {{"name", path.substr(0, path.find('?'))}, {"namespace", "shop"}}}};
    peer.send(refused ? tests::response(R"({"kind":"Status","code":403,"reason":"Forbidden","message":"no"})", "403 Forbidden")
                      : tests::response(Json{{"metadata", {{"resourceVersion", "1"}}}, {"items", {item}}}.dump()));
  }};
  io::TemporaryFolder folder;
  tests::RecordingReporter reporter;
  SystemClock clock;
  std::unique_ptr<Cluster> cluster;

  Site() {
    const auto kubeconfig = folder.path() / "kubeconfig";
    auto url = server.url();
    url.pop_back();
    io::write_file(kubeconfig, "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters: [{name: t, cluster: {server: '" + url +
                                          "'}}]\nusers: [{name: t, user: {}}]\ncontexts: [{name: t, context: {cluster: t, user: t}}]\n");
    settings::Environment environment;
    environment.name = "test";
    environment.project = "shop";
    environment.directory = folder.path();
    environment.timeouts.engine = Milliseconds{10'000};
    environment.kubernetes.kubeconfig = kubeconfig;
    environment.kubernetes.namespace_ = "shop";
    cluster = std::make_unique<Cluster>(environment, std::map<std::string, std::string>{}, reporter, clock);
  }
  long count(const std::string& what) const {
    return std::count_if(asked.begin(), asked.end(), [&](const auto& path) { return path.find(what) != std::string::npos; });
  }
};

kube::Object service(const std::string& name) {
  return kube::Object{Json{{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", {{"name", name}, {"namespace", "shop"}}}, {"spec", {{"selector", {{"app", name}}}}}}};
}
kube::Object deployment(const std::string& name) {
  return kube::Object{Json{{"apiVersion", "apps/v1"}, {"kind", "Deployment"}, {"metadata", {{"name", name}, {"namespace", "shop"}}},
                           {"spec", {{"template", {{"metadata", {{"labels", {{"app", name}}}}}}}}}}};
}

}  // namespace

TEST_CASE("kubernetes: answers are taken in the order of the questions, whoever was first") {
  Site site;
  site.slow = "configmaps";
  Questions questions{*site.cluster, Limits{}};
  std::vector<kube::Object> all;
  questions.list("v1", "ConfigMap", "shop", {}, into(all));
  questions.list("v1", "Secret", "shop", {}, into(all));
  questions.answer();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name() == "/api/v1/namespaces/shop/configmaps");
  CHECK(all[1].kind() == "Secret");
  // What was answered is not asked again.
  questions.answer();
  CHECK(site.asked.size() == 2);
}

TEST_CASE("kubernetes: who may not look is told so where that is an answer, and fails where it is none") {
  Site site;
  site.forbidden = "services";
  Questions questions{*site.cluster, Limits{}};
  std::vector<kube::Object> services, secrets;
  bool forbidden = false;
  questions.list_if_allowed("v1", "Service", "shop", {}, into(services), [&] { forbidden = true; });
  questions.list("v1", "Secret", "shop", {}, into(secrets));
  questions.answer();
  CHECK(forbidden);
  CHECK(services.empty());
  CHECK(secrets.size() == 1);
  questions.list("v1", "Service", "shop", {}, into(services));
  CHECK_THROWS_AS(questions.answer(), Failure);
}

TEST_CASE("kubernetes: endpoints are looked for where a Service means pods of the release") {
  Site site;
  Questions questions{*site.cluster, Limits{}};
  SeenServices seen;
  ask_about_services(questions, {service("web"), service("db"), service("other"), deployment("web"), deployment("db")}, seen);
  questions.answer();
  CHECK(site.count("/services?") == 1);
  CHECK(site.count("/endpointslices?") == 1);
  CHECK(site.count("kubernetes.io%2Fservice-name%20in%20%28web%2Cdb%29") == 1);
  SeenServices none;
  ask_about_services(questions, {service("other"), deployment("web")}, none);
  questions.answer();
  CHECK(site.count("/services?") == 2);
  CHECK(site.count("/endpointslices?") == 1);
}

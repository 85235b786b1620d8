#include <thread>

#include "cluster.hpp"
#include "lib/engine/kubernetes/watch.hpp"

using namespace codops;
using namespace codops::tests;
using namespace codops::engine;
using nlohmann::json;
using What = kubernetes::WatchEvent::What;

namespace {

std::string name_of(const kubernetes::WatchEvent& event) { return event.object ? text_at(*event.object, {"metadata", "name"}) : std::string{}; }

}  // namespace

TEST_CASE("kubernetes: a watch tells what is there, then what happens, for several kinds at once") {
  const auto cluster = Cluster::find("watch");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  const auto labelled = [&](const std::string& name, const std::string& value) {
    auto object = cluster->config_map(name, {{"v", value}});
    object["metadata"]["labels"] = {{"mine", "yes"}};
    return object;
  };
  api.apply(labelled("one", "1"), {}, limits);
  api.apply(cluster->config_map("not-mine", {{"v", "1"}}), {}, limits);
  kubernetes::Watch watch{api, {{"v1", "ConfigMap", cluster->ns, {.labels = "mine=yes"}}, {"v1", "Pod", cluster->ns, {}}}};
  int synced = 0;
  while (synced < 2) {
    const auto event = watch.next(limits);
    if (event.what == What::synced) ++synced;
    else {
      CHECK(event.which == 0);
      CHECK(event.what == What::added);
      CHECK(name_of(event) == "one");
      CHECK(text_at(*event.object, {"kind"}) == "ConfigMap");
    }
  }
  CHECK_THROWS_AS(watch.next(limits.within(Milliseconds{100})), Failure);
  api.apply(labelled("one", "2"), {}, limits);
  auto event = watch.next(limits);
  CHECK(event.what == What::modified);
  CHECK(text_at(*event.object, {"data", "v"}) == "2");
  api.apply(labelled("two", "1"), {}, limits);
  event = watch.next(limits);
  CHECK(event.what == What::added);
  CHECK(name_of(event) == "two");
  api.remove(cluster->ref("ConfigMap", "one"), {}, limits);
  event = watch.next(limits);
  CHECK(event.what == What::deleted);
  CHECK(name_of(event) == "one");

  api.create(cluster->fake_pod("p"), limits);
  for (bool running = false; !running;) {
    event = watch.next(limits);
    CHECK(event.which == 1);
    running = text_at(*event.object, {"status", "phase"}) == "Running";
  }
  CancelSource source;
  std::jthread later{[&source] { source.cancel(Exit::interrupted); }};
  CHECK_THROWS_AS([&] { for (;;) watch.next({limits.deadline, source.token()}); }(), Failure);
}

TEST_CASE("kubernetes: a watch of a kind that may not be watched ends with the reason") {
  const auto cluster = Cluster::find("forbidden");
  if (!cluster) return;
  auto connection = Cluster::connection_of(cluster->folder + "/admin.kubeconfig");
  connection.credentials.impersonate_user = "nobody";
  kubernetes::Api nobody{connection};
  kubernetes::Watch watch{nobody, {{"v1", "Pod", cluster->ns, {}}}};
  CHECK_THROWS_AS(watch.next(cluster->limits), kubernetes::ApiError);
}

TEST_CASE("kubernetes: the API server is stopped for a while, killed and started again: nothing is lost") {
  const auto cluster = Cluster::find("outage");
  if (!cluster) return;
  auto& api = cluster->api;
  const auto& limits = cluster->limits;
  kubernetes::Api patient{Cluster::connection_of(cluster->folder + "/admin.kubeconfig"), {.outage = Milliseconds{50'000}}};
  kubernetes::Watch watch{patient, {{"v1", "ConfigMap", cluster->ns, {.fields = "metadata.name!=kube-root-ca.crt"}}}};
  CHECK(watch.next(limits).what == What::synced);

  cluster->kube("pause-server");
  CHECK_THROWS_AS(api.version(limits.within(Milliseconds{300})), Failure);
  cluster->kube("resume-server");
  api.apply(cluster->config_map("one", {{"v", "1"}}), {}, limits);
  CHECK(name_of(watch.next(limits)) == "one");

  cluster->kube("stop-server");
  CHECK_THROWS_AS(api.version(limits), io::HttpFailure);
  cluster->kube("start-server");
  // The patient one waits for it, the watch finds back, and "one" is not told again.
  patient.apply(cluster->config_map("two", {{"v", "1"}}), {}, limits);
  const auto event = watch.next(limits);
  CHECK(event.what == What::added);
  CHECK(name_of(event) == "two");
}

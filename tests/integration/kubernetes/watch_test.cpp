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

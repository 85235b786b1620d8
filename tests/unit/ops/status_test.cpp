#include "lib/ops/status.hpp"

#include <doctest/doctest.h>

#include "lib/io/crypto.hpp"
#include "lib/ops/maintenance.hpp"

using namespace codops;
using namespace codops::ops;
using namespace std::chrono_literals;

namespace {

// Two backends and a proxy that were made an hour ago and deployed then.
struct Shop {
  Observed observed;
  release::Release release;
  WallTime made{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23}};

  Shop() {
    observed.now = made + 1h;
    release.number = 1;
    release.version = "v1";
    release::ServiceRecord web;
    web.name = "web";
    web.role = release::Role::stateless;
    web.set = 1;
    for (const char* name : {"web-1", "web-2"}) web.members.push_back({name, {}, 1});
    release::ServiceRecord front;
    front.name = "front";
    front.role = release::Role::proxy;
    front.members.push_back({"front-1", {}, 1});
    release.services = {web, front};
    for (const char* name : {"web-1", "web-2", "front-1"}) {
      ObservedContainer container;
      container.name = name;
      container.state = target::RunState::running;
      container.created = container.started = made;
      container.labels["codops.token"] = "t";
      observed.containers.push_back(container);
    }
    observed.snapshot.releases.emplace(1, release);
    release::HistoryEntry entry;
    entry.number = 1;
    entry.action = "deploy";
    entry.release = 1;
    entry.result = "ok";
    entry.started = made - 5s;
    entry.ended = made + 5s;
    release::seal(entry, {});
    observed.snapshot.history.push_back(entry);
  }
  Status look() const { return status_of(observed, "shop", "production", false); }
};

}  // namespace

TEST_CASE("status: what runs as deployed has no drift") {
  const Shop shop;
  CHECK(shop.look().healthy());
  CHECK(shop.look().drift.empty());
}

TEST_CASE("status: one container that somebody restarted is drift, all of them are a restart of the engine") {
  Shop shop;
  shop.observed.containers[0].started = shop.made + 30min;
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0].find("web-1 was restarted by hand") == 0);
  for (auto& container : shop.observed.containers) container.started = shop.made + 30min;
  CHECK(shop.look().drift.empty());
}

TEST_CASE("status: a restart by the engine is told until something is deployed after it") {
  Shop shop;
  shop.observed.containers[2].restart_count = 1;
  shop.observed.containers[2].started = shop.made + 30min;
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0].find("front-1 was restarted by the engine") == 0);
  auto later = shop.observed.snapshot.history.front();
  later.number = 2;
  later.started = shop.made + 40min;
  later.ended = shop.made + 41min;
  release::seal(later, shop.observed.snapshot.history.front().hash);
  shop.observed.snapshot.history.push_back(later);
  CHECK(shop.look().drift.empty());
}

TEST_CASE("status: a run that died is no news about what serves") {
  Shop shop;
  plan::Record record;
  record.run = "20261123T000000.000Z-t";
  record.entries.push_back({1, shop.made, "planned", {}, {}, {}});
  shop.observed.snapshot.journals.push_back(record);
  const auto status = shop.look();
  CHECK(status.serves_well());
  CHECK_FALSE(status.healthy());
  CHECK(text(status).find("healthy, a run is unfinished") != std::string::npos);
}

TEST_CASE("a file in the proxy is edited where its date is neither codops' nor that of the start") {
  ObservedContainer front;
  front.created = WallTime{1000s};
  front.started = WallTime{1010s};
  CHECK(!is_edited(front, WallTime{}));
  CHECK(!is_edited(front, WallTime{1011s}));
  CHECK(is_edited(front, WallTime{1021s}));
  CHECK(is_edited(front, WallTime{900s}));  // docker cp keeps the date that it had outside
  Shop shop;
  shop.observed.edited = {"/etc/nginx/nginx.conf"};
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "/etc/nginx/nginx.conf inside the proxy was changed by hand");
}

TEST_CASE("the proxy's upstream file is known by its size and time only where the last good run wrote it") {
  Shop shop;
  auto& snapshot = shop.observed.snapshot;
  snapshot.releases.at(1).upstreams = "upstream of release 1";
  auto& entry = snapshot.history.back();
  entry.started = shop.made;
  entry.ended = shop.made + 20s;
  const auto size = snapshot.releases.at(1).upstreams.size();
  CHECK(upstreams_by_stat(snapshot, size, shop.made + 10s) == "upstream of release 1");
  CHECK(upstreams_by_stat(snapshot, size, shop.made + 20s + 700ms) == "upstream of release 1");
  CHECK(!upstreams_by_stat(snapshot, size + 1, shop.made + 10s));
  CHECK(!upstreams_by_stat(snapshot, size, shop.made - 1s));   // of an earlier run, or a time that was set
  CHECK(!upstreams_by_stat(snapshot, size, shop.made + 22s));  // by hand, or by a run that did not end well
  CHECK(!upstreams_by_stat(snapshot, size, std::nullopt));
  snapshot.maintenance = true;
  CHECK(!upstreams_by_stat(snapshot, size, shop.made + 10s));
  snapshot.maintenance = false;
  release::HistoryEntry failed = entry;
  failed.number = 2;
  failed.result = "undone";
  failed.started = shop.made + 60s;
  failed.ended = shop.made + 70s;
  snapshot.history.push_back(failed);
  CHECK(!upstreams_by_stat(snapshot, size, shop.made + 65s));
  CHECK(upstreams_by_stat(snapshot, size, shop.made + 10s));
  plan::Record run;
  run.run = "r";
  snapshot.journals.push_back(run);
  CHECK(!upstreams_by_stat(snapshot, size, shop.made + 10s));
  snapshot.releases.clear();
  CHECK(!upstreams_by_stat(snapshot, 0, shop.made + 10s));
}

TEST_CASE("status: what somebody changed of a container is drift, as is what a run left that no release names") {
  Shop shop;
  auto& web = shop.observed.snapshot.releases.at(1).services[0];
  auto& container = shop.observed.containers[0];
  container.restart_policy = "always";
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "web-1 has the restart policy always instead of no");
  container.restart_policy = "no";
  container.state = target::RunState::paused;
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "web-1 is paused (docker unpause web-1)");
  container.state = target::RunState::running;
  container.restart_policy = "always";
  web.restart = "always:3";
  shop.observed.containers[1].restart_policy = "always";
  CHECK(shop.look().drift.empty());
  shop.observed.traffic = {"shop_codops", "172.20.0.0/16", true};
  web.members[0].address = "172.20.0.2";
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0].find("web-1 was taken off the network shop_codops") == 0);
  container.addresses["shop_codops"] = "172.20.0.9";
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "web-1 has the address 172.20.0.9 on shop_codops, and traffic goes to 172.20.0.2");
  container.addresses["shop_codops"] = "172.20.0.2";
  web.networks = R"({"shop_default":{}})";
  CHECK(shop.look().drift.size() == 2);
  for (auto& one : shop.observed.containers) one.addresses["shop_default"] = "172.19.0.2";
  CHECK(shop.look().drift.empty());
  container.limits = {{"Memory", "536870912"}};
  CHECK(shop.look().drift.empty());  // a release of before limits were recorded
  web.limits.emplace();
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "web-1 has Memory 536870912 by hand (docker update)");
  (*web.limits)["Memory"] = "268435456";
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "web-1 has Memory 536870912 instead of 268435456 (docker update)");
  container.limits = {{"Memory", "268435456"}};
  CHECK(shop.look().drift.empty());

  ObservedContainer late;
  late.name = "web-r9-1";
  late.state = target::RunState::created;
  late.labels["codops.token"] = "0123456789ab";
  shop.observed.containers.push_back(late);
  REQUIRE(shop.look().drift.size() == 1);
  CHECK(shop.look().drift[0] == "web-r9-1 was left by run 0123456789ab; the next deploy removes it");
}

TEST_CASE("status: a proxy that leads elsewhere, or was cut off, is not healthy") {
  Shop shop;
  auto& release = shop.observed.snapshot.releases.at(1);
  release.upstreams = "# release 1\nupstream web {\n    server 172.20.0.10:8080 max_fails=0;\n}\n";
  shop.observed.upstreams = "# another first line\nupstream web {\n    server 172.20.0.10:8080 max_fails=0;\n}\n";
  CHECK(shop.look().healthy());
  shop.observed.upstreams = "# release 1\nupstream web {\n    server 127.0.0.9:8080 max_fails=0;\n}\n";
  CHECK_FALSE(shop.look().healthy());
  CHECK(shop.look().drift.size() == 1);
  shop.observed.upstreams = release.upstreams;
  release.services.back().members.front().address = "172.20.0.2";
  shop.observed.traffic = {"shop_codops", "172.20.0.0/16", true};
  CHECK_FALSE(shop.look().healthy());
  shop.observed.containers.back().addresses["shop_codops"] = "172.20.0.77";
  CHECK(shop.look().healthy());
}

TEST_CASE("status: the maintenance page is where the record says, or it is drift") {
  Shop shop;
  auto& snapshot = shop.observed.snapshot;
  auto& release = snapshot.releases.at(1);
  release.upstreams = "# release 1\nupstream web {\n    server 172.20.0.10:8080 max_fails=0;\n}\n";
  const auto page = maintenance_file(release.upstreams, "<h1>soon</h1>");
  const auto drift = [&](const std::string& upstreams) {
    shop.observed.upstreams = upstreams;
    const auto status = shop.look();
    CHECK(status.healthy() == status.drift.empty());
    return status.drift.empty() ? std::string{} : status.drift.front();
  };
  CHECK(drift(release.upstreams).empty());
  CHECK(drift(page) == "the front shows the maintenance page, and by record no maintenance is on");
  snapshot.maintenance = true;
  snapshot.maintenance_file = io::sha256_hex(page);
  CHECK(drift(page).empty());
  CHECK(drift(release.upstreams) == "maintenance is on by record, and the front leads to the application");
  CHECK(drift(maintenance_file(release.upstreams, "another page")).find("neither") != std::string::npos);
  CHECK(drift("").find("neither") != std::string::npos);
  // Recorded before codops kept what the file holds.
  snapshot.maintenance_file.clear();
  CHECK(drift(page).empty());
  CHECK(drift(release.upstreams).find("leads to the application") != std::string::npos);
  snapshot.maintenance_settled = false;
  CHECK(drift(page).find("died half way") != std::string::npos);
}

#include "lib/ops/definitions.hpp"

#include <doctest/doctest.h>

using namespace codops;
using namespace codops::ops;

TEST_CASE("a network or volume that is there with another definition is told, without what may be secret") {
  engine::docker::NetworkDetails network;
  network.name = "shop_n";
  network.driver = "bridge";
  network.subnet = "172.26.0.0/16";
  network.labels = {{"com.docker.compose.network", "n"}, {"codops.token", "t"}};
  engine::docker::VolumeDetails volume{"shop_v", "local", "/somewhere", {}, {{"o", "password=one"}}};
  Observed observed;
  add_definition(observed.definitions, network);
  add_definition(observed.definitions, volume);
  release::Release release;
  release.number = 2;
  release.version = "v2";
  release.environment = "prod";
  const auto told = [&](const char* network_body, const char* volume_body) {
    release.definitions = definitions_of({{"shop_n", network_body, false}, {"shop_new", "{}", false}}, {{"shop_v", volume_body, false}});
    return other_than_defined(release, observed);
  };
  const char* as_is = R"({"DriverOpts": {"o": "password=one"}, "Labels": {"com.docker.compose.volume": "v"}})";
  CHECK(told(R"({"Driver": "bridge", "Internal": false})", as_is).empty());
  const auto other = told(R"({"Internal": true, "Subnet": "10.99.0.0/24", "Labels": {"mine": "x"}})", R"({"DriverOpts": {"o": "password=two"}})");
  REQUIRE(other.size() == 2);
  CHECK(other[0] == "the network shop_n is as it was made, with another internal, labels, subnet than release 2 says; codops down prod, then codops deploy prod v2, makes it anew");
  CHECK(other[1].starts_with("the volume shop_v is as it was made, with another driver_opts than release 2 says; "));
  CHECK(other[1].find("password") == std::string::npos);
  CHECK(release::release_from_json(release::to_json(release)).definitions == release.definitions);
}

#include "lib/ops/upstreams.hpp"

#include <doctest/doctest.h>

#include "lib/ops/run_record.hpp"

using namespace codops;
using namespace codops::ops;

TEST_CASE("upstreams: a rendered file tells the ports that it was made of") {
  const UpstreamFile file{7, "v1", true, {{"web", 8080, {"172.20.0.10", "172.20.0.11"}, {"172.20.0.9"}, false}, {"web-admin", 3000, {"172.20.0.12"}, {}, true}}};
  const auto text = render(file);
  CHECK(port_in(text, "web") == 8080);
  CHECK(port_in(text, "web-admin") == 3000);
  CHECK(port_in(text, "admin") == 0);
  CHECK(port_in("", "web") == 0);
  auto later = file;
  later.release = 8;
  later.version = "v2";
  CHECK(effective(render(later)) == effective(text));
  CHECK(effective("one line") == "");
}

TEST_CASE("runs sort by when they came, even where the clock was put back") {
  const WallTime noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 26} + std::chrono::hours{12}};
  const auto first = run_name(noon, "ffffffffffff", "");
  const auto same = run_name(noon, "000000000000", first);
  const auto back = run_name(noon - std::chrono::hours{1}, "000000000001", same);
  const auto later = run_name(noon + std::chrono::hours{1}, "000000000000", back);
  CHECK(first < same);
  CHECK(same < back);
  CHECK(back < later);
  CHECK(back.substr(back.rfind('-') + 1) == "000000000001");
}

TEST_CASE("upstreams: who a file was written for and where it leads can be read back") {
  ops::UpstreamFile file{7, "v1.2.0 (rc); 2", true, {{"web", 80, {"10.0.0.2", "10.0.0.3"}, {"10.0.0.4"}, false}, {"api", 3000, {"10.0.0.9"}, {}, false}}};
  const auto text = ops::render(file);
  const auto written = ops::written_for(text);
  REQUIRE(written);
  CHECK(written->release == 7);
  CHECK(written->version == "v1.2.0 (rc); 2");
  CHECK(ops::primaries_in(text, "web") == std::vector<std::string>{"10.0.0.2", "10.0.0.3"});
  CHECK(ops::primaries_in(text, "api") == std::vector<std::string>{"10.0.0.9"});
  CHECK(ops::primaries_in(text, "we").empty());
  CHECK_FALSE(ops::written_for("upstream web {\n}\n"));
  CHECK_FALSE(ops::written_for("# Written by codops for release x (v); changes"));
}

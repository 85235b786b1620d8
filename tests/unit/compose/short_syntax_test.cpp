#include "lib/compose/short_syntax.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::compose;
using text::Node;

namespace {

std::string shown(const Node& mapping) {
  std::string out;
  for (const auto& entry : mapping.entries) {
    out += (out.empty() ? "" : " ") + entry.key + "=";
    out += entry.value.is_mapping() ? "{" + shown(entry.value) + "}" : entry.value.text;
  }
  return out;
}

Node written(const std::string& text) { return Node::make_string(text, {}); }

}  // namespace

TEST_CASE("durations are read and printed as Go does") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"90s", "1m30s"}, {"1h1.5s", "1h0m1.5s"}, {"1.5h30m20ms3us4ns", "2h0m0.020003004s"}, {"0s", "0s"}, {"0", "0s"},
      {"500ms", "500ms"}, {"1500us", "1.5ms"}, {"2d", "48h0m0s"}, {"-1s", "-1s"}, {"1.5s", "1.5s"}, {"12ns", "12ns"}};
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    REQUIRE(parse_go_duration(text));
    CHECK(format_go_duration(*parse_go_duration(text)) == expected);
  }
  for (const auto* wrong : {"", "10", "s", "1x", "1..5s", ".s", "-", "99999999999h"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_go_duration(wrong));
  }
}

TEST_CASE("command lines are split into words") {
  const auto words = [](std::string_view line) { return split_words(line)->words; };
  using Words = std::vector<std::string>;
  CHECK(words("a 'b c' \"d\\\"e\" f\\ g") == Words{"a", "b c", "d\"e", "f g"});
  CHECK(words("a \"\" '' b\n\tc") == Words{"a", "", "", "b", "c"});
  CHECK(words("echo $(b c) `d e`") == Words{"echo", "$(b c)", "`d e`"});
  CHECK(words("").empty());
  CHECK(split_words("a && b")->ended_by == '&');
  CHECK(words("a && b") == Words{"a"});
  CHECK(split_words("a '&&' b")->ended_by == 0);
  for (const auto* open : {"a 'b", "a \"b", "a \\", "(a)", "$(a"}) {
    CAPTURE(open);
    CHECK_FALSE(split_words(open));
  }
}

TEST_CASE("ports: addresses, ranges, protocols") {
  CHECK(shown(ports_of(written("80")).at(0)) == "mode=ingress target=80 protocol=tcp");
  CHECK(shown(ports_of(written("[::1]:81:82/UDP")).at(0)) ==
        "mode=ingress host_ip=::1 target=82 published=81 protocol=udp");
  CHECK(shown(ports_of(written("127.0.0.1::90")).at(0)) == "mode=ingress host_ip=127.0.0.1 target=90 protocol=tcp");
  const auto range = ports_of(written("9090-9091:8080-8081"));
  REQUIRE(range.size() == 2);
  CHECK(shown(range[1]) == "mode=ingress target=8081 published=9091 protocol=tcp");
  CHECK(shown(ports_of(written("8000-8002:80")).at(0)) == "mode=ingress target=80 published=8000-8002 protocol=tcp");
  for (const auto* wrong : {"", "a:80", "80:", "80:80/x", "8000-8001:80-82", "9-8:1", "70000:80", "1:2:3:4", "::1:80:80"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(ports_of(written(wrong)), Failure);
  }
}

TEST_CASE("volumes and devices") {
  CHECK(shown(volume_of(written("data:/d:ro"))) == "type=volume source=data target=/d read_only=true volume={}");
  CHECK(shown(volume_of(written("./a:/b:z"))) ==
        "type=bind source=./a target=/b bind={selinux=z create_host_path=true}");
  CHECK(shown(volume_of(written("/only"))) == "type=volume target=/only volume={}");
  for (const auto* wrong : {"", "aa::/b", "aa:/b:ro:x"}) CHECK_THROWS_AS(volume_of(written(wrong)), Failure);
  CHECK(shown(device_of(written("/dev/a"))) == "source=/dev/a target=/dev/a permissions=rwm");
  CHECK(shown(device_of(written("/dev/a:/dev/b:r"))) == "source=/dev/a target=/dev/b permissions=r");
}

TEST_CASE("sizes") {
  CHECK(parse_size("64M") == 67108864);
  CHECK(parse_size("1.5g") == 1610612736);
  CHECK(parse_size("-1") == -1);
  CHECK_FALSE(parse_size("lots"));
  CHECK_FALSE(parse_size("-1m"));
}

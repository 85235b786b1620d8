#include "lib/kube/pod_essence.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "lib/kube/summary.hpp"
#include "tests/unit/kube/observation.hpp"

using namespace codops;
using namespace codops::kube;

namespace {

std::string told(const Observation& seen) {
  const auto now = std::chrono::steady_clock::now();
  RolloutMemory memory;
  const auto verdict = judge(seen, {}, memory, now, WallTime{});
  const auto later = judge(seen, {}, memory, now + std::chrono::hours{1}, WallTime{});
  std::string text;
  for (const auto& one : {verdict, later}) {
    text += std::to_string(static_cast<int>(one.state)) + one.text;
    if (one.trouble) text += one.trouble->reason + one.trouble->message + one.trouble->hint;
  }
  const auto summary = summarise(seen, WallTime{});
  for (const auto& pod : summary.pods) {
    text += pod.name + pod.namespace_ + pod.state + pod.node + pod.ip + pod.started + pod.why + std::to_string(pod.ready) + std::to_string(pod.restarts) + std::to_string(pod.containers) +
            std::to_string(pod.ready_containers) + std::to_string(pod.healthy);
  }
  for (const auto& why : summary.why) text += why;
  return text;
}

}  // namespace

TEST_CASE("the essence of a pod says what the whole pod says, in every recorded rollout") {
  std::size_t pods = 0, full = 0, small = 0;
  for (const auto& file : std::filesystem::directory_iterator{tests::source_dir() + "/tests/unit/kube/observations"}) {
    const auto name = file.path().stem().string();
    CAPTURE(name);
    if (!nlohmann::json::parse(io::read_file(file.path().string())).contains("pods")) continue;
    auto seen = observation(name);
    const auto whole = told(seen);
    for (auto& pod : seen.pods) {
      full += pod.dump().size();
      pod = essence_of(pod);
      small += pod.dump().size();
      ++pods;
    }
    CHECK(told(seen) == whole);
  }
  CHECK(pods >= 10);
  CHECK(small * 3 < full * 2);  // most of them fail, so nearly everything is kept
}

TEST_CASE("an essence of an essence is the same, and what is no pod stays") {
  auto seen = observation("deployment_image_pull");
  for (const auto& pod : seen.pods) CHECK(essence_of(essence_of(pod)).dump() == essence_of(pod).dump());
  const auto tombstone = Object::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","uid":"1"}})");
  CHECK(essence_of(tombstone).dump() == tombstone.dump());
}

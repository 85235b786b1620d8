#include "lib/kube/summary.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/kube/observation.hpp"

using namespace codops;
using namespace codops::kube;

TEST_CASE("workloads as a real cluster has them") {
  struct Case {
    std::string name;
    int desired, ready;
    bool healthy;
    std::string why;
  };
  const Case cases[] = {
      {"deployment_done", 2, 2, true, ""},
      {"stateful_set_done", 2, 2, true, ""},
      {"daemon_set_done", 1, 1, true, ""},
      {"job_done", 1, 1, true, ""},
      {"deployment_image_pull", 2, 2, false, "container \"web\": ImagePullBackOff"},
      {"stateful_set_crash", 2, 1, false, "db-1 container \"db\" was killed: out of memory, 5 times"},
      {"daemon_set_config", 1, 0, false, "CreateContainerConfigError"},
      {"deployment_deadline", 2, 2, false, "ProgressDeadlineExceeded"},
      {"deployment_unschedulable", 1, 0, false, "finds no node: 0/1 nodes are available"},
      {"deployment_quota", 1, 0, false, "exceeded quota"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.name);
    const auto summary = summarise(observation(one.name), WallTime{});
    CHECK(summary.desired == one.desired);
    CHECK(summary.ready == one.ready);
    CHECK(summary.healthy == one.healthy);
    std::string why;
    for (const auto& line : summary.why) why += line + "\n";
    CHECK(summary.why.empty() == summary.healthy);
    CHECK_MESSAGE(why.find(one.why) != std::string::npos, why);
    CHECK(summary.images.size() == 1);
  }
}

TEST_CASE("a pod's state, as kubectl words it") {
  struct Case {
    const char *status, *state;
  };
  const Case cases[] = {
      {R"({"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]})", "Running"},
      {R"({"phase":"Pending","containerStatuses":[{"name":"a","state":{"waiting":{"reason":"ContainerCreating"}}}]})", "ContainerCreating"},
      {R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}}],"containerStatuses":[{"name":"a","state":{"waiting":{"reason":"PodInitializing"}}}]})", "Init:0/1"},
      {R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"waiting":{"reason":"CrashLoopBackOff"}}}]})", "Init:CrashLoopBackOff"},
      {R"({"phase":"Succeeded","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]})", "Completed"},
      {R"({"phase":"Running","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":3}}}]})", "ExitCode:3"},
      {R"({"phase":"Failed","reason":"Evicted","message":"The node was low on memory."})", "Evicted"},
      {R"({"phase":"Pending"})", "Pending"},
  };
  for (const auto& one : cases) {
    auto pod = Object::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"a"}]}})");
    pod.edit()["status"] = nlohmann::json::parse(one.status);
    CHECK(summarise_pod(pod).state == one.state);
    pod.edit()["metadata"]["deletionTimestamp"] = "2026-11-26T10:00:00Z";
    CHECK(summarise_pod(pod).state == "Terminating");
  }
}

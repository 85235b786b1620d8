// The verdict of a rollout, on objects that a real Kubernetes 1.36 gave (observations/) and on changes of them.
#include "lib/kube/rollout.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/io/files.hpp"
#include "tests/unit/kube/observation.hpp"

using namespace codops;
using namespace codops::kube;
using namespace std::chrono_literals;
using State = Verdict::State;

namespace {

const Deadline::TimePoint start{1'000'000s};

Verdict after(const Observation& observed, std::chrono::seconds time) {
  RolloutMemory memory;
  static_cast<void>(judge(observed, {}, memory, start, {}));
  return judge(observed, {}, memory, start + time, {});
}

// The only pod of the new revision, or the first.
nlohmann::json& pod_of(Observation& observed) {
  const auto fresh = new_pods(observed);
  REQUIRE_FALSE(fresh.empty());
  for (auto& pod : observed.pods) {
    if (pod.uid() == fresh.front().uid()) return pod.edit();
  }
  throw std::logic_error{"no pod"};
}

void wait_with(Observation& observed, const std::string& reason, const std::string& message = {}) {
  auto& status = pod_of(observed)["status"]["containerStatuses"][0];
  status["ready"] = false;
  status["restartCount"] = 0;
  status.erase("lastState");
  status["state"] = {{"waiting", {{"reason", reason}, {"message", message}}}};
}

}  // namespace

TEST_CASE("what a real cluster shows, and the verdict on it") {
  struct Case {
    std::string name;
    std::chrono::seconds time;
    State state;
    std::string reason;   // of a failure, or of what will be one
    std::string contains; // in the text or message
  };
  const Case cases[] = {
      {"deployment_done", 0s, State::done, "", "2/2 ready"},
      {"stateful_set_done", 0s, State::done, "", "2/2 ready"},
      {"daemon_set_done", 0s, State::done, "", "1/1 ready"},
      {"job_done", 0s, State::done, "", "1/1 succeeded"},
      {"deployment_image_pull", 0s, State::waiting, "ImagePullBackOff", "can't have its image \"web:1\""},
      {"deployment_image_pull", 9s, State::waiting, "ImagePullBackOff", "can't have its image"},
      {"deployment_image_pull", 10s, State::failed, "ImagePullBackOff", "can't have its image"},
      {"stateful_set_crash", 0s, State::failed, "OOMKilled", "container \"db\" of pod db-1 was killed: out of memory, 5 times"},
      {"daemon_set_config", 19s, State::waiting, "CreateContainerConfigError", "can't be started"},
      {"daemon_set_config", 20s, State::failed, "CreateContainerConfigError", "can't be started"},
      {"deployment_deadline", 0s, State::failed, "ProgressDeadlineExceeded", "made no progress for 3 s"},
      {"deployment_unschedulable", 119s, State::waiting, "Unschedulable", "finds no node: 0/1 nodes are available"},
      {"deployment_unschedulable", 120s, State::failed, "Unschedulable", "finds no node"},
      {"deployment_quota", 9s, State::waiting, "FailedCreate", "exceeded quota"},
      {"deployment_quota", 10s, State::failed, "FailedCreate", "exceeded quota"},
      {"stateful_set_quota", 10s, State::failed, "FailedCreate", "exceeded quota"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.name);
    CAPTURE(one.time.count());
    const auto verdict = after(observation(one.name), one.time);
    CHECK(static_cast<int>(verdict.state) == static_cast<int>(one.state));
    CHECK((verdict.trouble ? verdict.trouble->reason : "") == one.reason);
    const auto words = verdict.state == State::failed ? verdict.trouble->message : verdict.text;
    CHECK_MESSAGE(words.find(one.contains) != std::string::npos, words);
    if (verdict.state == State::failed) CHECK_FALSE(verdict.trouble->evidence.empty());
    // Whoever waits for a grace is woken at its end.
    CHECK(verdict.next.has_value() == (verdict.state == State::waiting));
  }
}

TEST_CASE("a Job's failure is its own to declare") {
  auto observed = observation("job_crash");
  auto verdict = after(observed, 1000s);
  CHECK(static_cast<int>(verdict.state) == static_cast<int>(State::waiting));
  observed.workload.edit()["status"]["conditions"] = {{{"type", "Failed"}, {"status", "True"}, {"reason", "BackoffLimitExceeded"}, {"message", "Job has reached the specified backoff limit"}}};
  verdict = after(observed, 0s);
  REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
  CHECK(verdict.trouble->reason == "BackoffLimitExceeded");
  CHECK(verdict.trouble->container == "bad");
  bool logs = false;
  for (const auto& evidence : verdict.trouble->evidence) logs = logs || evidence.kind != Evidence::Kind::events;
  CHECK(logs);
}

TEST_CASE("reasons of a container that waits") {
  struct Case {
    const char* reason;
    std::chrono::seconds grace;
  };
  const Case cases[] = {{"InvalidImageName", 0s},   {"ErrImageNeverPull", 0s}, {"ErrImagePull", 10s},     {"ImagePullBackOff", 10s}, {"CreateContainerConfigError", 20s},
                        {"CreateContainerError", 20s}, {"RunContainerError", 20s}, {"CrashLoopBackOff", 0s}};
  for (const auto& one : cases) {
    CAPTURE(one.reason);
    auto observed = observation("deployment_image_pull");
    wait_with(observed, one.reason, "why");
    observed.pods.erase(std::remove_if(observed.pods.begin(), observed.pods.end(), [&](const Object& pod) { return pod.uid() != new_pods(observed).front().uid(); }), observed.pods.end());
    if (one.grace > 0s) CHECK(static_cast<int>(after(observed, one.grace - 1s).state) == static_cast<int>(State::waiting));
    const auto verdict = after(observed, one.grace);
    REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
    CHECK(verdict.trouble->reason == one.reason);
    CHECK(verdict.trouble->object.kind == "Pod");
    CHECK(verdict.trouble->container == "web");
  }
}

TEST_CASE("ErrImagePull and ImagePullBackOff are one state; a state that went away begins anew") {
  auto observed = observation("deployment_image_pull");
  RolloutMemory memory;
  wait_with(observed, "ErrImagePull");
  CHECK(judge(observed, {}, memory, start, {}).next == start + 10s);
  wait_with(observed, "ImagePullBackOff");
  CHECK(judge(observed, {}, memory, start + 9s, {}).next == start + 10s);
  wait_with(observed, "ContainerCreating");
  observed.events.clear();
  CHECK_FALSE(judge(observed, {}, memory, start + 9s, {}).next);
  wait_with(observed, "ErrImagePull");
  CHECK(judge(observed, {}, memory, start + 11s, {}).next == start + 21s);
}

TEST_CASE("crashes") {
  auto observed = observation("deployment_image_pull");
  auto& status = pod_of(observed)["status"]["containerStatuses"][0];
  const auto ended = [](int code, const char* reason) { return nlohmann::json{{"terminated", {{"exitCode", code}, {"reason", reason}, {"finishedAt", "2026-11-26T10:00:00Z"}}}}; };

  SUBCASE("once is no failure yet") {
    status["state"] = {{"running", nlohmann::json::object()}};
    status["lastState"] = ended(1, "Error");
    status["restartCount"] = 1;
    CHECK(static_cast<int>(after(observed, 0s).state) == static_cast<int>(State::waiting));
  }
  SUBCASE("three restarts are, whatever it does in between") {
    status["state"] = {{"running", nlohmann::json::object()}};
    status["lastState"] = ended(1, "Error");
    status["restartCount"] = 3;
    const auto verdict = after(observed, 0s);
    REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
    CHECK(verdict.trouble->reason == "Restarting");
    CHECK(verdict.trouble->message.find("exited with 1, 3 times") != std::string::npos);
  }
  SUBCASE("out of memory is at once, and says the limit") {
    status["state"] = {{"running", nlohmann::json::object()}};
    status["lastState"] = ended(137, "OOMKilled");
    status["restartCount"] = 1;
    pod_of(observed)["spec"]["containers"][0]["resources"] = {{"limits", {{"memory", "64Mi"}}}};
    const auto verdict = after(observed, 0s);
    REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
    CHECK(verdict.trouble->reason == "OOMKilled");
    CHECK(verdict.trouble->message.find("its limit is 64Mi") != std::string::npos);
    CHECK(verdict.trouble->hint.find("64Mi") != std::string::npos);
  }
  SUBCASE("of a pod that was there before the rollout, the past does not count") {
    status["state"] = {{"running", nlohmann::json::object()}};
    status["ready"] = true;
    status["lastState"] = ended(137, "OOMKilled");
    status["restartCount"] = 9;
    observed.since = parse_rfc3339("2027-01-01T00:00:00Z");
    const auto verdict = after(observed, 0s);
    CHECK(static_cast<int>(verdict.state) == static_cast<int>(State::waiting));
  }
  SUBCASE("an init container") {
    pod_of(observed)["status"]["initContainerStatuses"] = {{{"name", "prepare"}, {"ready", false}, {"restartCount", 2}, {"state", {{"waiting", {{"reason", "CrashLoopBackOff"}}}}}, {"lastState", ended(3, "Error")}}};
    const auto verdict = after(observed, 0s);
    REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
    CHECK(verdict.trouble->container == "prepare");
    CHECK(verdict.trouble->message.find("init container \"prepare\"") != std::string::npos);
  }
}

TEST_CASE("a stale status decides nothing") {
  auto observed = observation("deployment_done");
  CHECK_FALSE(new_pods(observed).empty());
  observed.generation += 1;
  CHECK(new_pods(observed).empty());  // those of its newest revision are the ones before
  CHECK(static_cast<int>(after(observed, 1000s).state) == static_cast<int>(State::waiting));
  auto failed = observation("deployment_deadline");
  failed.generation += 1;
  CHECK(static_cast<int>(after(failed, 1000s).state) == static_cast<int>(State::waiting));
}

TEST_CASE("only pods of the new ReplicaSet count") {
  auto observed = observation("deployment_image_pull");
  const auto fresh = new_pods(observed);
  REQUIRE_FALSE(fresh.empty());
  CHECK(fresh.size() < observed.pods.size());
  for (auto& pod : observed.pods) {
    bool is_new = false;
    for (const auto& one : fresh) is_new = is_new || one.uid() == pod.uid();
    if (!is_new) pod.edit()["status"]["containerStatuses"][0]["state"] = {{"waiting", {{"reason", "InvalidImageName"}}}};
  }
  CHECK(after(observed, 0s).trouble->reason == "ImagePullBackOff");
}

namespace {

Object event_of_pod(const nlohmann::json& pod, const char* reason, const std::string& message, const char* at = "2026-11-26T10:00:00Z") {
  return Object{nlohmann::json{{"involvedObject", {{"uid", pod["metadata"]["uid"]}, {"kind", "Pod"}}}, {"reason", reason}, {"type", "Warning"}, {"message", message}, {"lastTimestamp", at}}};
}

// A pod whose volumes are not there yet, and that has not run.
Observation being_created() {
  auto observed = observation("deployment_image_pull");
  wait_with(observed, "ContainerCreating");
  observed.events.clear();
  return observed;
}

constexpr auto forbidden =
    "MountVolume.SetUp failed for volume \"keys\" : secrets \"keys\" is forbidden: User \"system:node:node-1\" cannot get resource \"secrets\" in API group \"\" in the namespace "
    "\"tiny\": no relationship found between node 'node-1' and this object";

}  // namespace

TEST_CASE("a volume that can't be mounted: a missing Secret soon, anything else late") {
  auto observed = being_created();
  auto& pod = pod_of(observed);
  pod["spec"]["volumes"] = {{{"name", "keys"}, {"secret", {{"secretName", "absent"}}}}, {{"name", "data"}, {"persistentVolumeClaim", {{"claimName", "d"}}}}};
  observed.events = {event_of_pod(pod, "FailedMount", "MountVolume.SetUp failed for volume \"keys\" : secret \"absent\" not found")};
  CHECK(static_cast<int>(after(observed, 19s).state) == static_cast<int>(State::waiting));
  auto verdict = after(observed, 20s);
  REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
  CHECK(verdict.trouble->message.find("secret \"absent\" not found") != std::string::npos);
  // The kubelet tries these again, within 122 s: of a Secret that is there, too.
  for (const std::string message : {"MountVolume.SetUp failed for volume \"data\" : timed out", forbidden}) {
    observed.events = {event_of_pod(pod, "FailedMount", message)};
    CHECK(static_cast<int>(after(observed, 149s).state) == static_cast<int>(State::waiting));
    verdict = after(observed, 150s);
    REQUIRE(static_cast<int>(verdict.state) == static_cast<int>(State::failed));
    CHECK(verdict.trouble->message.find(message) != std::string::npos);
  }
  for (const auto* reason : {"FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}) {
    observed.events = {event_of_pod(pod, reason, "not yet")};
    CHECK(static_cast<int>(after(observed, 149s).state) == static_cast<int>(State::waiting));
    CHECK(static_cast<int>(after(observed, 150s).state) == static_cast<int>(State::failed));
  }
}

TEST_CASE("what passes does not use up the grace of what is missing") {
  auto observed = being_created();
  auto& pod = pod_of(observed);
  RolloutMemory memory;
  observed.events = {event_of_pod(pod, "FailedMount", forbidden)};
  static_cast<void>(judge(observed, {}, memory, start, {}));
  observed.events.push_back(event_of_pod(pod, "FailedMount", "MountVolume.SetUp failed for volume \"keys\" : secret \"keys\" not found", "2026-11-26T10:00:30Z"));
  CHECK(static_cast<int>(judge(observed, {}, memory, start + 30s, {}).state) == static_cast<int>(State::waiting));
  CHECK(static_cast<int>(judge(observed, {}, memory, start + 49s, {}).state) == static_cast<int>(State::waiting));
  CHECK(static_cast<int>(judge(observed, {}, memory, start + 50s, {}).state) == static_cast<int>(State::failed));
}

TEST_CASE("an event that tells of what is over counts no more") {
  const auto missing = "MountVolume.SetUp failed for volume \"keys\" : secret \"keys\" not found";
  auto pulled = being_created();
  pulled.events = {event_of_pod(pod_of(pulled), "FailedMount", missing), event_of_pod(pod_of(pulled), "Pulling", "Pulling image", "2026-11-26T10:00:05Z")};
  CHECK(static_cast<int>(after(pulled, 1000s).state) == static_cast<int>(State::waiting));
  auto initializing = being_created();
  wait_with(initializing, "PodInitializing");
  pod_of(initializing)["status"]["initContainerStatuses"] = {{{"name", "prepare"}, {"state", {{"running", {{"startedAt", "2026-11-26T10:00:05Z"}}}}}}};
  initializing.events = {event_of_pod(pod_of(initializing), "FailedMount", missing)};
  CHECK(static_cast<int>(after(initializing, 1000s).state) == static_cast<int>(State::waiting));
  auto mounted = being_created();
  pod_of(mounted)["status"]["conditions"].push_back({{"type", "PodReadyToStartContainers"}, {"status", "True"}});
  mounted.events = {event_of_pod(pod_of(mounted), "FailedMount", missing)};
  CHECK(static_cast<int>(after(mounted, 1000s).state) == static_cast<int>(State::waiting));
}

TEST_CASE("graces count from the end of an outage, and what the kubelet can't do yet has the long one") {
  auto observed = observation("daemon_set_config");
  RolloutMemory memory;
  static_cast<void>(judge(observed, {}, memory, start, {}));
  memory.not_before(start + 60s);
  CHECK(static_cast<int>(judge(observed, {}, memory, start + 79s, {}).state) == static_cast<int>(State::waiting));
  CHECK(static_cast<int>(judge(observed, {}, memory, start + 80s, {}).state) == static_cast<int>(State::failed));
  wait_with(observed, "CreateContainerConfigError", "services have not yet been read at least once, cannot construct envvars");
  CHECK(static_cast<int>(after(observed, 149s).state) == static_cast<int>(State::waiting));
  CHECK(static_cast<int>(after(observed, 150s).state) == static_cast<int>(State::failed));
}

TEST_CASE("paused, deleted, being deleted") {
  auto observed = observation("deployment_done");
  observed.workload.edit()["spec"]["paused"] = true;
  CHECK(after(observed, 0s).trouble->reason == "Paused");
  CHECK(refuse_early({observed.workload}).size() == 1);
  observed.workload = Object{};
  CHECK(after(observed, 0s).trouble->reason == "Deleted");
  observed = observation("deployment_done");
  observed.workload.edit()["metadata"]["deletionTimestamp"] = "2026-11-26T10:00:00Z";
  CHECK(after(observed, 0s).trouble->reason == "Deleted");
}

TEST_CASE("a StatefulSet waits for an old pod that will never be ready") {
  auto observed = observation("stateful_set_crash");
  auto& status = observed.workload.edit()["status"];
  status["updateRevision"] = "db-restored";
  const auto stuck = stuck_pods(observed);
  REQUIRE(stuck.size() == 1);
  CHECK(stuck.front().name() == "db-1");
  CHECK(after(observed, 0s).text.find("waits for the old pod db-1") != std::string::npos);
}

TEST_CASE("objects that have no rollout") {
  const auto object = [](const char* text) { return Object::parse(text); };
  CHECK(static_cast<int>(judge_other(object(R"({"apiVersion":"v1","kind":"ConfigMap"})"), 0).state) == static_cast<int>(State::done));
  CHECK(static_cast<int>(judge_other(object(R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition"})"), 0).state) == static_cast<int>(State::waiting));
  CHECK(static_cast<int>(judge_other(object(R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","status":{"conditions":[{"type":"Established","status":"True"}]}})"), 0).state) ==
        static_cast<int>(State::done));
  CHECK(static_cast<int>(judge_other(object(R"({"apiVersion":"v1","kind":"Namespace","status":{"phase":"Terminating"}})"), 0).state) == static_cast<int>(State::failed));
  CHECK(static_cast<int>(judge_other(object(R"({"apiVersion":"example.com/v1","kind":"T","metadata":{"generation":2},"status":{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True"}]}})"), 0).state) ==
        static_cast<int>(State::waiting));
}

TEST_CASE("a crash is no verdict while something else of the release is still coming") {
  const auto of = [](State state, const char* reason) {
    Verdict verdict;
    verdict.state = state;
    if (*reason != 0) verdict.trouble = Trouble{reason, {}, {}, {}, {}, {}};
    return verdict;
  };
  const auto crash = of(State::failed, "CrashLoopBackOff"), coming = of(State::waiting, ""), done = of(State::done, "");
  CHECK(may_wait_for({crash, done, coming}, 0) == 2);
  CHECK_FALSE(may_wait_for({crash, done}, 0));
  CHECK_FALSE(may_wait_for({crash, crash}, 0));
  CHECK_FALSE(may_wait_for({crash, of(State::waiting, "CrashLoopBackOff")}, 0));  // they don't wait for each other
  CHECK_FALSE(may_wait_for({of(State::failed, "OOMKilled"), coming}, 0));
  CHECK_FALSE(may_wait_for({coming, crash}, 0));
}

TEST_CASE("a run that began before what it waited for was there does not count, the next one does") {
  auto observed = observation("deployment_image_pull");
  auto& status = pod_of(observed)["status"]["containerStatuses"][0];
  status["ready"] = false;
  status["restartCount"] = 4;
  status["state"] = {{"waiting", {{"reason", "CrashLoopBackOff"}}}};
  status["lastState"] = {{"terminated", {{"exitCode", 1}, {"reason", "Error"}, {"startedAt", "2026-01-01T00:00:10Z"}, {"finishedAt", "2026-01-01T00:00:12Z"}}}};
  CHECK(static_cast<int>(after(observed, 0s).state) == static_cast<int>(State::failed));
  observed.crashes_since = parse_rfc3339("2026-01-01T00:00:11Z");
  CHECK(static_cast<int>(after(observed, 0s).state) == static_cast<int>(State::waiting));
  observed.crashes_since = parse_rfc3339("2026-01-01T00:00:09Z");
  CHECK(static_cast<int>(after(observed, 0s).state) == static_cast<int>(State::failed));
}

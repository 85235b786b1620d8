#include "lib/kube/job_end.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace codops;
using namespace codops::kube;

namespace {

Object job(const std::string& spec, const std::string& metadata = {}, const std::string& status = "{}") {
  return Object::parse(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"warm","namespace":"n","uid":"u")" + metadata + R"(},"spec":)" + spec + R"(,"status":)" + status + "}");
}
const std::string complete = R"({"succeeded":1,"conditions":[{"type":"Complete","status":"True"}]})";

}  // namespace

TEST_CASE("a Job that tidies itself up after it succeeded is done; one that somebody deletes before is not") {
  CHECK(tidies_itself_up(job(R"({"ttlSecondsAfterFinished":0})")));
  CHECK(!tidies_itself_up(job("{}")));
  RolloutMemory memory;
  Observation going;
  going.workload = job(R"({"ttlSecondsAfterFinished":1})", R"(,"deletionTimestamp":"2026-01-01T00:00:00Z")", complete);
  CHECK(judge(going, {}, memory, Deadline::TimePoint{}, {}).state == Verdict::State::done);
  going.workload = job(R"({"ttlSecondsAfterFinished":1})", R"(,"deletionTimestamp":"2026-01-01T00:00:00Z")");
  CHECK(judge(going, {}, memory, Deadline::TimePoint{}, {}).state == Verdict::State::failed);

  const auto event = [](const std::string& reason, const std::string& uid) {
    return Object::parse(R"({"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"n"},"reason":")" + reason + R"(","involvedObject":{"kind":"Job","name":"warm","uid":")" + uid + R"("}})");
  };
  CHECK(is_told_complete(job("{}"), "u", {event("SuccessfulCreate", "u"), event("Completed", "u")}));
  CHECK(!is_told_complete(job("{}"), "u", {event("Completed", "another")}));
  CHECK(is_told_complete(job("{}"), "", {event("Completed", "another")}));

  const auto summary = summary_of_tidied(job(R"({"ttlSecondsAfterFinished":1,"completions":2,"template":{"spec":{"containers":[{"image":"a:b"}]}}})"));
  CHECK(summary.healthy);
  CHECK(summary.ready == 2);
  CHECK(summary.desired == 2);
  CHECK(summary.why.empty());
}

TEST_CASE("a Job that ended is made anew without what the server gave it") {
  const auto ended = Object::parse(R"({"kind":"Job","status":{"conditions":[{"type":"Failed","status":"True"}]}})");
  CHECK(has_ended(ended));
  CHECK_FALSE(has_succeeded(ended));
  CHECK_FALSE(has_ended(Object::parse(R"({"kind":"Job","status":{"active":1}})")));
  const auto job = new_job(Object::parse(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"seed","labels":{"job-name":"seed","app":"shop"}},"spec":{"selector":{"matchLabels":{}},
    "template":{"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"u","app":"shop"}}}}})"));
  CHECK_FALSE(job.json().at("spec").contains("selector"));
  CHECK(job.json().at("metadata").at("labels").size() == 1);
  CHECK(job.json().at("spec").at("template").at("metadata").at("labels").size() == 1);
}

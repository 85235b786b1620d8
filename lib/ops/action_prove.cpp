// Through the front door: proof after the switch, and the monitor window with the old set still there as the backup.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/health/run.hpp"
#include "lib/ops/actions.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

constexpr int proof_connections = 10;
constexpr Milliseconds proof_time{10'000};
constexpr Milliseconds look_again{50};
constexpr Milliseconds monitor_pause{250};
constexpr int monitor_failures = 3;  // in a row: one lost probe is not a verdict

health::Check front_door_check(const FrontDoorTarget& door, const std::string& name) {
  health::HttpCheck http;
  http.request.url = door.url;
  http.request.server_name = door.server_name;
  http.request.redirects = io::HttpProbeRequest::Redirects::keep;
  http.request.trust.ca_file = door.ca;
  http.request.trust.insecure = door.insecure;
  if (!door.server_name.empty()) http.request.headers.emplace_back("Host", Secret{door.server_name});
  http.expect_status = health::StatusCodes::parse(door.expect).value_or(health::StatusCodes{});
  http.read_status = false;
  http.capture = {"location"};
  health::Check check;
  check.name = name;
  check.what = std::move(http);
  check.timeout = Milliseconds{5000};
  return check;
}

class Prove final : public plan::Action {
 public:
  explicit Prove(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    if (!context_.front_door) return "no published port to ask: the proxy took the configuration";
    if (Json::parse(step.args).value("fresh", false)) await_front_door(limits.within(proof_time));
    ask_front_door(context_, proof_connections, limits.within(proof_time));
    if (context_.front_door_redirects) {
      context_.reporter.warn(fmt::format("{} only redirects to https, and the proxy publishes no such port here: whether the application answers was not seen; front_door: {{url: …}} names where it does",
                                         io::shown_url(context_.front_door->url)));
    }
    return fmt::format("{} of {} new connections answered", proof_connections, proof_connections);
  }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  // A proxy that was started a moment ago, without a health check, may not listen yet. One that was there before must answer
  // at once: who asked in its place would have failed.
  void await_front_door(const Limits& limits) {
    for (;;) {
      try {
        return ask_front_door(context_, 1, limits);
      } catch (const Failure&) {
        limits.cancel.check();
        if (limits.deadline.expired()) throw;
      }
      limits.within(look_again).wait(-1, 0);
    }
  }

  RunContext& context_;
};

class Monitor final : public plan::Action {
 public:
  explicit Monitor(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    const Milliseconds window{args.at("milliseconds").get<std::int64_t>()};
    int failures = 0;
    const auto ask = [&] {
      if (!context_.front_door) return;
      try {
        ask_front_door(context_, 1, limits.within(Milliseconds{5000}));
        failures = 0;
      } catch (const Failure&) {
        limits.cancel.check();
        if (++failures >= monitor_failures) throw;
      }
    };
    watch_members(context_, args.at("members"), Deadline::after(window), monitor_pause, ask, limits);
    if (!context_.front_door) return "nothing stopped";
    return fmt::format("front door: {} of {} probes answered", context_.front_door_answered, context_.front_door_asked);
  }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  RunContext& context_;
};

}  // namespace

namespace {

// The proxy's own answer, whatever the application does.
bool leads_to_https(const health::Outcome& outcome) {
  const auto location = outcome.captured.find("location");
  return outcome.http_status.value_or(0) / 100 == 3 && location != outcome.captured.end() && ascii_lower(location->second).starts_with("https://");
}

}  // namespace

void ask_front_door(RunContext& context, int times, const Limits& limits) {
  const auto& door = *context.front_door;
  std::vector<health::Check> checks;
  for (int number = 1; number <= times; ++number) checks.push_back(front_door_check(door, fmt::format("front door {}", number)));
  const auto report = health::run(checks, {}, limits);
  limits.cancel.check();
  for (const auto& outcome : report.outcomes) {
    ++context.front_door_asked;
    if (outcome.status == health::Status::ok || outcome.status == health::Status::warn) {
      ++context.front_door_answered;
      continue;
    }
    throw Failure{Exit::failed,
                  fmt::format("the front door {} does not answer as expected: {}: {}", io::shown_url(door.url), io::to_string(outcome.stage), outcome.message),
                  outcome.http_status == 401 ? "front_door: {path: …} names a page without a login; front_door: {status: 401} is content with this answer" : outcome.hint};
  }
  const bool redirects = std::any_of(report.outcomes.begin(), report.outcomes.end(), leads_to_https);
  if (!redirects || !door.chosen) return;
  if (door.secure_url.empty()) {
    context.front_door_redirects = true;
    return;
  }
  auto secure = door;
  secure.url = std::exchange(secure.secure_url, {});
  secure.insecure = secure.ca.empty();
  secure.chosen = false;
  context.front_door = std::move(secure);
  ask_front_door(context, times, limits);
}

std::unique_ptr<plan::Action> prove_action(RunContext& context) { return std::make_unique<Prove>(context); }
std::unique_ptr<plan::Action> monitor_action(RunContext& context) { return std::make_unique<Monitor>(context); }

}  // namespace codops::ops

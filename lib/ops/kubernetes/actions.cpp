#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/health/run.hpp"
#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr int proof_connections = 10;
constexpr Milliseconds proof_time{10'000};
constexpr Milliseconds proof_timeout{5000};

// A step that another room carries out and that has no undo.
class Beside final : public plan::Action {
 public:
  explicit Beside(std::function<std::string(const plan::Step&, const Limits&)> perform) : perform_{std::move(perform)} {}
  std::string perform(const plan::Step& step, const Limits& limits) override { return perform_(step, limits); }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  std::function<std::string(const plan::Step&, const Limits&)> perform_;
};

health::Check door_check(const settings::FrontDoor& door, int number) {
  health::HttpCheck http;
  http.request.url = door.url;
  if (!door.path.empty()) {
    const auto authority = door.url.find("://");
    if (authority != std::string::npos && door.url.find('/', authority + 3) == std::string::npos) http.request.url += door.path;
  }
  http.request.redirects = io::HttpProbeRequest::Redirects::keep;
  http.request.trust.ca_file = door.ca;
  http.expect_status = health::StatusCodes::parse(door.status ? std::to_string(*door.status) : "200-399").value_or(health::StatusCodes{});
  http.read_status = false;
  health::Check check;
  check.name = fmt::format("front door {}", number);
  check.what = std::move(http);
  check.timeout = proof_timeout;
  return check;
}

std::string ask_front_door(RunContext& context, const Limits& limits) {
  const auto& door = context.cluster.environment().front_door;
  std::vector<health::Check> checks;
  for (int number = 1; number <= proof_connections; ++number) checks.push_back(door_check(door, number));
  const auto report = health::run(checks, {}, limits.within(proof_time));
  limits.cancel.check();
  for (const auto& outcome : report.outcomes) {
    ++context.front_door_asked;
    if (outcome.status == health::Status::ok || outcome.status == health::Status::warn) {
      ++context.front_door_answered;
      continue;
    }
    throw Failure{Exit::failed, fmt::format("the front door {} does not answer as expected: {}: {}", io::shown_url(door.url), io::to_string(outcome.stage), outcome.message),
                  outcome.hint};
  }
  return fmt::format("{} of {} new connections answered", context.front_door_answered, context.front_door_asked);
}

}  // namespace

ActionSet::ActionSet(RunContext& context, Companions companions) {
  const auto add = [&](const char* kind, std::unique_ptr<plan::Action> action) {
    table_.emplace(kind, action.get());
    owned_.push_back(std::move(action));
  };
  add("apply", apply_action(context));
  add("rollout", rollout_action(context));
  add("scale", scale_action(context));
  add("settle", settle_action(context));
  add("prune", prune_action(context));
  add("prove", std::make_unique<Beside>([&context](const plan::Step&, const Limits& limits) { return ask_front_door(context, limits); }));
  add("record", std::make_unique<Beside>([](const plan::Step&, const Limits&) { return std::string{"nothing to apply"}; }));
  add("backup", std::make_unique<Beside>([run = companions.backup](const plan::Step&, const Limits& limits) {
        if (!run) throw Failure{Exit::bug, "a backup is planned and nothing takes it"};
        return run(limits);
      }));
  add("migrate", std::make_unique<Beside>([run = companions.migrate, &context](const plan::Step&, const Limits& limits) {
        if (!run) throw Failure{Exit::bug, "migrations are planned and nothing applies them"};
        return run(context, limits);
      }));
  add("hook", std::make_unique<Beside>([run = companions.pre_hook](const plan::Step& step, const Limits& limits) {
        if (!run) throw Failure{Exit::bug, "a hook is planned and nothing runs it"};
        return run(nlohmann::json::parse(step.args).at("index").get<std::size_t>(), limits);
      }));
}

ActionSet::~ActionSet() = default;

}  // namespace codops::ops::kubernetes

#include "lib/ops/rest.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/ops/observe.hpp"
#include "lib/ops/run_record.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

bool keeps_running(release::Role role) { return role == release::Role::stateful || role == release::Role::proxy || role == release::Role::one_shot; }

// What the action "stop" reads (action_stop.cpp).
Json to_stop(const release::Release& current, const Observed& observed) {
  auto members = Json::array();
  for (const auto& service : current.services) {
    if (keeps_running(service.role)) continue;
    for (const auto& member : service.members) {
      const auto* container = observed.container(member.container);
      if (container == nullptr || !container->running()) continue;
      members.push_back({{"service", service.name}, {"container", member.container}, {"address", member.address},
                         {"grace", service.stop_grace_seconds}, {"restart", service.restart}});
    }
  }
  return members;
}

plan::Plan plan_of(const release::Release& current, const std::string& environment, const std::string& run, Json members) {
  plan::Plan plan;
  plan.verb = "restore";
  plan.environment = environment;
  plan.run = run;
  plan.release = plan.from = current.number;
  plan.version = plan.from_version = current.version;
  plan::Step step;
  step.name = step.kind = "stop";
  step.text = fmt::format("{} containers of the application rest", members.size());
  step.undo = "start";
  step.args = Json{{"members", std::move(members)}, {"remove", Json::array()}}.dump();
  plan.steps.push_back(std::move(step));
  const auto release = Json::parse(to_json(current));
  plan.context = Json{{"next", release}, {"current", release}}.dump();
  return plan;
}

}  // namespace

struct ApplicationRest::Stopped {
  plan::Plan plan;
  RunContext context;
  plan::Journal journal;
  std::unique_ptr<plan::Action> action;
  WallTime began;
};

ApplicationRest::ApplicationRest(Host& host, std::string command) : host_{host}, command_{std::move(command)} {}

ApplicationRest::~ApplicationRest() = default;

void ApplicationRest::stop(const Limits& limits) {
  transaction_ = std::make_unique<Transaction>(host_, command_, release::AcquireOptions{}, limits);
  const auto current = serving(transaction_->observed(), host_.project());
  if (!current) return;
  auto members = to_stop(*current, transaction_->observed());
  if (members.empty()) return;
  Desired stored;
  stored.specs = host_.store().load_specs(*current, limits);
  const auto now = transaction_->now();
  stopped_ = std::make_unique<Stopped>(Stopped{plan_of(*current, host_.environment().name, transaction_->token(), std::move(members)),
                                               transaction_->context(*current, current, stored),
                                               transaction_->journal(run_name(now, transaction_->token(), newest_run(transaction_->observed().snapshot)), 1),
                                               {},
                                               now});
  stopped_->action = stop_action(stopped_->context);
  auto& [plan, context, journal, action, began] = *stopped_;
  const auto& step = plan.steps.front();
  transaction_->write({journal.entry_file("planned", {}, plan.verb + " " + plan.version, to_json(plan)), journal.entry_file("doing", step.name, step.text)},
                      limits);
  action->perform(step, limits);
}

void ApplicationRest::start(const Limits& limits) {
  if (!transaction_) return;
  if (stopped_) {
    auto& [plan, context, journal, action, began] = *stopped_;
    const auto& step = plan.steps.front();
    journal.write("undoing", step.name, {}, limits);
    action->undo(step, limits);
    transaction_->write({journal.entry_file("undone", step.name, {}), journal.entry_file("ended", {}, "done")}, limits);
    // That these containers were started again was no hand's work. Not "ok": it made no release.
    auto entry = entry_for(plan, began, {});
    entry.result = "done";
    entry.run = journal.run();
    transaction_->record(std::move(entry), limits);
    stopped_.reset();
  }
  transaction_->release_lock();
  transaction_.reset();
}

}  // namespace codops::ops

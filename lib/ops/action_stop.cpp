// The old set leaves: stopped, or left running out of reach of traffic, and kept for rollback; what nobody recorded is removed.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/ops/actions.hpp"
#include "lib/ops/bring_back.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

constexpr Milliseconds alone_time{5'000};
constexpr Milliseconds alone_pause{250};
constexpr int most_asked = 3;

class Stop final : public plan::Action {
 public:
  explicit Stop(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    if (!args.at("members").empty()) require_reachable(context_, context_.next, limits);
    std::vector<Leaving> leaving;
    std::size_t resting = 0;
    for (const auto& member : args.at("members")) {
      if (member.value("rest", false)) {
        rest_member(context_, member.at("container"), limits);
        ++resting;
      } else {
        leaving.push_back({member.at("container"), member.at("grace")});
      }
    }
    std::size_t stopped = 0;
    const bool alone = static_cast<bool>(context_.taking_over);
    in_parallel({[&] { stopped = stop_members(context_, leaving, limits); },
                 [&] {
                   if (context_.taking_over) context_.taking_over(limits);
                 }});
    if (alone && context_.front_door) ask_once_more(limits);
    for (const auto& name : args.at("remove")) remove_stranger(name, limits);
    std::string done = stopped == 0 ? std::string{} : fmt::format("{} stopped, kept for rollback", stopped);
    if (stopped < leaving.size()) done += fmt::format("{}{} had been removed by somebody", done.empty() ? "" : "; ", leaving.size() - stopped);
    if (resting > 0) done += fmt::format("{}{} left running for rollback", done.empty() ? "" : "; ", resting);
    return done;
  }

  // It is others': data that it has in a volume without a name stays.
  void remove_stranger(const std::string& name, const Limits& limits) {
    const auto details = context_.api.find_container(name, limits);
    if (!details) return;
    const auto label = details->labels.find("com.docker.compose.service");
    const auto* service = label == details->labels.end() ? nullptr : context_.next.service(label->second);
    context_.require_lock();
    context_.api.remove_container(details->id, true, service != nullptr && rolls(service->role), limits);
  }

  void undo(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    for (const auto& member : args.at("members")) {
      if (!member.value("rest", false)) context_.stops_begun.insert(member.at("container").get<std::string>());
    }
    bring_back_traffic(context_, limits);
    std::vector<Awaited> revived;
    for (const auto& member : args.at("members")) {
      const std::string name = member.at("container");
      const bool anew = revive_member(context_, name, member.at("restart"), member.at("address"), member.at("service"), limits);
      const auto* service = context_.current ? context_.current->service(member.at("service").get<std::string>()) : nullptr;
      if (!anew || service == nullptr || !rolls(service->role)) continue;
      for (const auto& known : service->members) {
        if (known.container == name) revived.push_back({service, known});
      }
    }
    // The steps before this one lead traffic back to them.
    wait_ready(context_, revived, [](const std::string&) {}, limits);
  }

 private:
  // Until now the old set answered what the new one did not: the proof that the new one serves alone. One lost probe is no verdict.
  void ask_once_more(const Limits& limits) {
    for (int asked = 1;; ++asked) {
      try {
        return ask_front_door(context_, 1, limits.within(alone_time));
      } catch (const Failure&) {
        limits.cancel.check();
        if (asked == most_asked) throw;
      }
      limits.within(alone_pause).wait(-1, 0);
    }
  }

  RunContext& context_;
};

}  // namespace

std::unique_ptr<plan::Action> stop_action(RunContext& context) { return std::make_unique<Stop>(context); }

}  // namespace codops::ops

// The old set leaves: stopped and kept for rollback; what nobody recorded is removed.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/ops/actions.hpp"
#include "lib/ops/members.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

class Stop final : public plan::Action {
 public:
  explicit Stop(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    std::vector<Leaving> leaving;
    for (const auto& member : args.at("members")) leaving.push_back({member.at("container"), member.at("grace")});
    stop_members(context_, leaving, limits);
    for (const auto& name : args.at("remove")) remove_member(context_, name, limits);
    return leaving.empty() ? std::string{} : fmt::format("{} stopped, kept for rollback", leaving.size());
  }

  void undo(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    for (const auto& member : args.at("members")) {
      revive_member(context_, member.at("container"), member.at("restart"), member.at("address"), member.at("service"), limits);
    }
  }

 private:
  RunContext& context_;
};

}  // namespace

std::unique_ptr<plan::Action> stop_action(RunContext& context) { return std::make_unique<Stop>(context); }

}  // namespace codops::ops

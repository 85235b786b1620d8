#include "lib/ops/actions.hpp"

namespace codops::ops {
namespace {

// A step that another room carries out and that has no undo.
class Companion final : public plan::Action {
 public:
  explicit Companion(std::function<std::string(const plan::Step&, const Limits&)> perform) : perform_{std::move(perform)} {}
  std::string perform(const plan::Step& step, const Limits& limits) override { return perform_(step, limits); }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  std::function<std::string(const plan::Step&, const Limits&)> perform_;
};

}  // namespace

ActionSet::ActionSet(RunContext& context, Companions companions) {
  const auto add = [&](const char* kind, std::unique_ptr<plan::Action> action) {
    table_.emplace(kind, action.get());
    owned_.push_back(std::move(action));
  };
  add("prepare", prepare_action(context));
  auto start = start_action(context);
  table_.emplace("front", start.get());
  add("start", std::move(start));
  add("switch", switch_action(context));
  add("prove", prove_action(context));
  add("monitor", monitor_action(context));
  add("drain", drain_action(context));
  add("stop", stop_action(context));
  add("backup", std::make_unique<Companion>([run = companions.backup](const plan::Step&, const Limits& limits) {
        if (!run) throw Failure{Exit::bug, "a backup is planned and nothing takes it"};
        return run(limits);
      }));
  add("migrate", std::make_unique<Companion>([run = companions.migrate](const plan::Step&, const Limits& limits) {
        if (!run) throw Failure{Exit::bug, "migrations are planned and nothing applies them"};
        return run(limits);
      }));
  add("hook", std::make_unique<Companion>([run = companions.pre_hook](const plan::Step& step, const Limits& limits) {
        if (!run) throw Failure{Exit::bug, "a hook is planned and nothing runs it"};
        const auto index = step.args.find("\"index\":");
        return run(static_cast<std::size_t>(std::atoi(step.args.c_str() + index + 8)), limits);
      }));
}

ActionSet::~ActionSet() = default;

}  // namespace codops::ops

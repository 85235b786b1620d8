// Moving traffic: the upstream file, and the proxy's own files where they changed.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/actions.hpp"
#include "lib/ops/bring_back.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

class Switch final : public plan::Action {
 public:
  explicit Switch(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    const std::string proxy = args.at("proxy");
    if (args.value("later", false)) return settle(proxy, args.at("to"), limits);
    wait_kept(context_, members_named(context_.next, args.value("keep", std::vector<std::string>{})), [&](const std::string& text) {
      context_.reporter.report({Event::Kind::progress, step.name, text, {}, {}, {}, {}});
    }, limits);
    const auto left = lead(proxy, args.at("to"), &context_.next, args.at("files"), limits);
    if (!context_.drained_by) {
      context_.old_workers.insert(context_.old_workers.end(), left.begin(), left.end());
      context_.drained_by = Deadline::after(context_.drain);
    }
    return fmt::format("release {}", context_.next.number);
  }

  void undo(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    const std::string proxy = args.at("proxy");
    const std::string back = args.at("back");
    if (back.empty()) return;  // nothing was served through this file before
    // Traffic is led to what answers only: somebody may have stopped or removed it meanwhile.
    if (args.value("drain_back", false)) {
      bring_back_traffic(context_, limits);
      context_.had_traffic = true;
    }
    const auto details = find_member(context_, proxy, limits);
    if (!details) return;  // removed by hand: it is made again when all is undone
    if (details->state != target::RunState::running) return put_upstreams(context_, proxy, back, limits);
    const auto leaving = lead(proxy, back, context_.current ? &*context_.current : nullptr, args.at("files"), limits);
    if (!args.value("drain_back", false)) return;
    // The new set is removed next: what it is answering ends first, in that part of the time which the other steps can spare.
    workers_gone(context_, proxy, leaving, Deadline::after(std::min(context_.drain, limits.deadline.remaining() / 3)), limits);
  }

 private:
  // To a release, with the proxy's own files where they changed. A configuration that nginx refuses though they did not is not what the
  // release has: somebody's hands were in it.
  std::vector<std::string> lead(const std::string& proxy, const std::string& to, const release::Release* release, bool files_changed, const Limits& limits) {
    if (release == nullptr) return switch_upstreams(context_, proxy, to, {}, limits);
    try {
      return switch_upstreams(context_, proxy, to, files(files_changed, *release), limits);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::config || files_changed) throw;
      context_.reporter.note(fmt::format("{}; its files are put back as release {} has them", failure.message(), release->number));
      return switch_upstreams(context_, proxy, to, files(true, *release), limits);
    }
  }

  // Only the backup goes, which no request needs while the new set answers: the new workers come while the old set stops.
  std::string settle(const std::string& proxy, const std::string& to, const Limits& limits) {
    const auto before = accepting_workers(context_, proxy, limits);
    reload_upstreams(context_, proxy, to, limits);
    context_.taking_over = [this, proxy, before](const Limits& within) { await_takeover(context_, proxy, before, within); };
    return fmt::format("release {}", context_.next.number);
  }

  std::vector<release::FileRef> files(bool changed, const release::Release& release) const {
    const auto* service = changed ? release.service(context_.proxy.service) : nullptr;
    return service == nullptr ? std::vector<release::FileRef>{} : service->files;
  }

  RunContext& context_;
};

class Drain final : public plan::Action {
 public:
  explicit Drain(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const std::string proxy = Json::parse(step.args).at("proxy");
    if (context_.old_workers.empty()) return "nothing in flight";
    const auto until = context_.drained_by.value_or(Deadline::after(context_.drain));
    const bool gone = workers_gone(context_, proxy, context_.old_workers, until, limits);
    return gone ? "every request on the old set has ended"
                : fmt::format("after {} s the rest is cut (long connections)", context_.drain.count() / 1000);
  }
  void undo(const plan::Step&, const Limits&) override {}

 private:
  RunContext& context_;
};

}  // namespace

std::unique_ptr<plan::Action> switch_action(RunContext& context) { return std::make_unique<Switch>(context); }
std::unique_ptr<plan::Action> drain_action(RunContext& context) { return std::make_unique<Drain>(context); }

}  // namespace codops::ops

// A new set beside the old, in the order of dependencies: make, start, ready, then join the traffic network. Services
// that can't run twice (data, published ports, the proxy) stop their old container first.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/ops/actions.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using release::Member;
using release::Role;
using release::ServiceRecord;

class Start final : public plan::Action {
 public:
  explicit Start(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    touched_ = false;
    try {
      return carry_out(step, limits);
    } catch (const Failure& failure) {
      if (touched_) throw;
      throw plan::NothingMoved{failure.code(), failure.message(), failure.hint()};
    }
  }

  std::string resume(const plan::Step& step, const Limits& limits) override { return carry_out(step, limits); }

  std::string carry_out(const plan::Step& step, const Limits& limits) {
    const auto args = Json::parse(step.args);
    std::vector<Awaited> pending;
    std::vector<std::string> summary;
    const auto settle = [&] {
      wait_ready(context_, pending, [&](const std::string& text) {
        context_.reporter.report({Event::Kind::progress, step.name, text, {}, {}, {}, {}});
      }, limits);
      for (const auto& one : pending) {
        if (!rolls(one.service->role)) continue;
        touched_ = true;
        join_traffic(context_, *one.service, one.member, limits);
      }
      pending.clear();
    };
    wait_kept(context_, members_named(context_.next, args.value("keep", std::vector<std::string>{})), [](const std::string&) {}, limits);
    for (const auto& entry : args.at("services")) {
      const auto& service = record_of(entry.at("service"));
      const bool needs_pending = std::any_of(pending.begin(), pending.end(), [&](const Awaited& one) {
        return std::find(service.depends_on.begin(), service.depends_on.end(), one.service->name) != service.depends_on.end();
      });
      if (needs_pending) settle();
      const std::vector<std::string> replaced = entry.at("replace");
      if (!rolls(service.role) && !replaced.empty()) {
        std::vector<Leaving> leaving;
        touched_ = true;
        for (const auto& name : replaced) leaving.push_back({name, entry.at("replaced_grace")});
        stop_members(context_, leaving, limits);
      }
      const auto members = members_of(service, entry);
      for (const auto& name : entry.at("make")) make_member(context_, service, member_named(service, name), limits);
      for (const auto& name : entry.value("rejoin", Json::array())) {
        touched_ = true;
        reach_again(service, member_named(service, name), args, limits);
      }
      for (const auto& member : members) {
        if (service.role == Role::proxy && !is_made(entry, member)) {
          touched_ = true;
          lead_anew(service, member, args, limits);
        }
        touched_ = touched_ || is_reached_from_its_start(service);
        start_member(context_, service, member, limits);
        pending.push_back({&service, member});
      }
      summary.push_back(members.size() < 2 ? service.name : fmt::format("{} ×{}", service.name, members.size()));
    }
    settle();
    return fmt::format("{}", fmt::join(summary, ", "));
  }

  void undo(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    std::vector<Leaving> rolling;
    for (const auto& entry : args.at("services")) {
      const auto& service = record_of(entry.at("service"));
      for (const auto& name : entry.at("make")) remove_member(context_, name, limits);
      if (service.role == Role::proxy) lead_back(entry, limits);
      std::vector<Leaving> kept;
      const int grace = grace_of(service, limits);
      for (const auto& name : entry.at("start")) kept.push_back({name, grace});
      if (rolls(service.role)) {
        rolling.insert(rolling.end(), kept.begin(), kept.end());
        continue;
      }
      if (!kept.empty() && service.role != Role::stateful) stop_members(context_, kept, limits);
      for (const auto& name : entry.at("replace")) {
        const auto address = address_in_current(service.name, name);
        revive_member(context_, name, entry.at("replaced_restart"), address, {}, limits);
      }
    }
    if (!rolling.empty()) stop_members(context_, rolling, limits);
  }

 private:
  // What rolls has its names once it is ready; on networks where strangers ask for them, at once.
  static bool is_reached_from_its_start(const ServiceRecord& service) {
    if (!rolls(service.role)) return true;
    const auto networks = Json::parse(service.networks.empty() ? "{}" : service.networks);
    return std::any_of(networks.begin(), networks.end(), [](const Json& endpoint) { return endpoint.contains("Aliases"); });
  }

  // What was started and never had a request to answer has none to end. The rest gets its time, in so far as the other steps can spare it.
  int grace_of(const ServiceRecord& service, const Limits& limits) const {
    constexpr int unused{1};
    const bool behind_proxy = rolls(service.role) && service.port != 0 && !context_.proxy.service.empty();
    if (behind_proxy && !context_.had_traffic) return unused;
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(limits.deadline.remaining() / 2).count();
    return static_cast<int>(std::clamp<std::int64_t>(service.stop_grace_seconds, unused, std::max<std::int64_t>(left, unused)));
  }

  static bool is_made(const Json& entry, const Member& member) {
    const auto& made = entry.at("make");
    return std::find(made.begin(), made.end(), member.container) != made.end();
  }

  // A proxy that was stopped has the upstreams and files of the release that it served last.
  void lead_anew(const ServiceRecord& service, const Member& member, const Json& args, const Limits& limits) {
    context_.require_lock();
    put_files(context_, member.container, service.files, limits);
    if (!context_.proxy.upstreams.empty()) put_upstreams(context_, member.container, args.at("upstreams"), limits);
  }

  // One that is paused, or runs and was taken off the network, reaches nobody: nothing is lost by joining it again.
  void reach_again(const ServiceRecord& service, const Member& member, const Json& args, const Limits& limits) {
    context_.require_lock();
    if (context_.api.inspect_container(member.container, limits).state == target::RunState::paused) context_.api.unpause_container(member.container, limits);
    join_traffic(context_, service, member, limits);
    if (!context_.proxy.upstreams.empty()) switch_upstreams(context_, member.container, args.at("upstreams"), service.files, limits);
  }

  // The file with the upstreams is in a volume that the new proxy shared: whoever reads it next is led to the set that serves.
  void lead_back(const Json& entry, const Limits& limits) {
    if (!context_.current || context_.current->upstreams.empty() || context_.proxy.upstreams.empty()) return;
    const auto& upstreams = context_.current->upstreams;
    for (const char* kind : {"replace", "start"}) {
      for (const auto& name : entry.at(kind)) {
        if (context_.api.find_container(name, limits)) put_upstreams(context_, name, upstreams, limits);
      }
    }
    for (const auto& name : entry.value("rejoin", Json::array())) {
      const auto details = context_.api.find_container(name, limits);
      if (details && details->state == target::RunState::running) switch_upstreams(context_, name, upstreams, {}, limits);
    }
  }

  const ServiceRecord& record_of(const std::string& name) const {
    const auto* service = context_.next.service(name);
    if (service == nullptr) throw Failure{Exit::bug, fmt::format("the plan starts \"{}\", which its release does not have", name)};
    return *service;
  }

  static Member member_named(const ServiceRecord& service, const std::string& name) {
    for (const auto& member : service.members) {
      if (member.container == name) return member;
    }
    throw Failure{Exit::bug, fmt::format("\"{}\" is no member of its release", name)};
  }

  static std::vector<Member> members_of(const ServiceRecord& service, const Json& entry) {
    std::vector<Member> members;
    for (const char* key : {"make", "start"}) {
      for (const auto& name : entry.at(key)) members.push_back(member_named(service, name));
    }
    return members;
  }

  std::string address_in_current(const std::string& service_name, const std::string& container) const {
    const auto* service = context_.current ? context_.current->service(service_name) : nullptr;
    if (service == nullptr) return {};
    for (const auto& member : service->members) {
      if (member.container == container) return member.address;
    }
    return {};
  }

  RunContext& context_;
  bool touched_{false};  // somebody may have reached what came, or missed what was stopped
};

}  // namespace

std::unique_ptr<plan::Action> start_action(RunContext& context) { return std::make_unique<Start>(context); }

}  // namespace codops::ops

#include "lib/ops/rest.hpp"

#include "lib/engine/docker/api.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {
namespace {

constexpr std::chrono::seconds grace_of_rest{10};

bool keeps_running(release::Role role) { return role == release::Role::stateful || role == release::Role::proxy || role == release::Role::one_shot; }

}  // namespace

void ApplicationRest::stop(const Limits& limits) {
  transaction_ = std::make_unique<Transaction>(host_, command_, release::AcquireOptions{}, limits);
  const auto current = serving(transaction_->observed(), host_.project());
  if (!current) return;
  for (const auto& service : current->services) {
    if (keeps_running(service.role)) continue;
    for (const auto& member : service.members) {
      const auto* container = transaction_->observed().container(member.container);
      if (container == nullptr || !container->running()) continue;
      // Noted first: what is half stopped is started too.
      stopped_.push_back(member.container);
      host_.api().stop_container(member.container, grace_of_rest, limits);
    }
  }
}

void ApplicationRest::start(const Limits& limits) {
  if (!transaction_) return;
  const auto current = serving(transaction_->observed(), host_.project());
  RunContext context{host_.api(), host_.store(), host_.reporter(), host_.clock()};
  context.ready_timeout = host_.environment().timeouts.ready;
  std::vector<Awaited> awaited;
  for (const auto& name : stopped_) host_.api().start_container(name, limits);
  if (current) {
    for (const auto& service : current->services) {
      for (const auto& member : service.members) {
        if (std::find(stopped_.begin(), stopped_.end(), member.container) != stopped_.end()) awaited.push_back({&service, member});
      }
    }
  }
  stopped_.clear();
  wait_ready(context, awaited, [](const std::string&) {}, limits);
  transaction_->release_lock();
  transaction_.reset();
}

}  // namespace codops::ops

// What no kept release needs any more. Nothing here may fail the command that was already recorded as done.
#include <fmt/format.h>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/transaction.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops {
namespace {

constexpr int kept_runs = 30;

}  // namespace

Milliseconds Transaction::prune(const Limits& limits) {
  Milliseconds removing{};
  const plan::Faults faults;
  try {
    const auto* current = observed_.snapshot.current();
    if (current == nullptr) return removing;
    const auto retention = release::prune_plan(observed_.snapshot, current->number, host_.environment().keep_releases, kept_runs);
    const std::set<int> forgotten{retention.releases.begin(), retention.releases.end()};
    std::set<std::string> needed_members;
    std::set<std::string> needed_images;
    std::set<std::string> lost_images;
    for (const auto& [number, kept] : observed_.snapshot.releases) {
      for (const auto& service : kept.services) {
        if (forgotten.contains(number)) {
          // Only what a registry can give back.
          if (!service.digest.empty()) lost_images.insert(service.image_id);
          continue;
        }
        needed_images.insert(service.image_id);
        for (const auto& member : service.members) needed_members.insert(member.container);
      }
    }
    std::vector<std::string> unneeded;
    for (const auto& container : observed_.containers) {
      if (container.labels.count(label_token) != 0 && !needed_members.contains(container.name)) unneeded.push_back(container.name);
    }
    lock_->check();
    const auto start = host_.clock().steady();
    in_parallel(unneeded.size(), calls_at_once, [&](std::size_t index) { host_.api().remove_container(unneeded[index], true, true, limits); });
    removing = std::chrono::duration_cast<Milliseconds>(host_.clock().steady() - start);
    faults.at("in", "prune");
    for (const auto& image : lost_images) {
      if (needed_images.contains(image)) continue;
      try {
        host_.api().remove_image(image, true, limits);
      } catch (const engine::docker::ApiError& error) {
        if (!error.conflict()) throw;  // in use by somebody else's container
      }
    }
    if (!retention.paths.empty()) {
      lock_->check();
      host_.store().remove(retention.paths, limits);
    }
  } catch (const Failure& failure) {
    host_.reporter().warn("old releases could not be cleaned up: " + failure.message() + "; the next deploy tries again");
  }
  faults.at("after", "prune");
  return removing;
}

}  // namespace codops::ops

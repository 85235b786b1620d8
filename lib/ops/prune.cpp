// What no kept release needs any more. Nothing here may fail the command that was already recorded as done.
#include <fmt/format.h>

#include <charconv>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/ops/leftovers.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/others.hpp"
#include "lib/ops/transaction.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops {
namespace {

constexpr int kept_runs = 30;

// Looked at once more: a number may have been given again since, and the file been written.
std::vector<std::string> empty_leftovers(release::ReleaseStore& store, const release::Snapshot& snapshot, const Limits& limits) {
  std::vector<std::string> paths;
  for (const auto& path : may_go_when_empty(snapshot)) {
    if (const auto content = store.read(path, limits); content && content->empty()) paths.push_back(path);
  }
  return paths;
}

}  // namespace

std::vector<std::string> may_go_when_empty(const release::Snapshot& snapshot) {
  constexpr std::string_view releases = "meta/releases/";
  const bool told_from_journal = std::any_of(snapshot.history.begin(), snapshot.history.end(), [](const auto& entry) { return entry.hash.empty(); });
  const auto* open = snapshot.unfinished();
  std::vector<std::string> paths;
  for (const auto& path : snapshot.damaged) {
    if (path == "meta/environment.json" || (path.starts_with("meta/history/") && told_from_journal)) continue;
    if (open != nullptr && path.starts_with(std::string{plan::journal_folder} + open->run + "/")) continue;
    if (path.starts_with(releases)) {
      int number = 0;
      std::from_chars(path.data() + releases.size(), path.data() + path.size(), number);
      const auto served = [&](const auto& entry) { return entry.release == number && entry.result == "ok"; };
      if (snapshot.releases.contains(number) || std::any_of(snapshot.history.begin(), snapshot.history.end(), served)) continue;
    }
    paths.push_back(path);
  }
  return paths;
}

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
    std::vector<const ObservedContainer*> unneeded;
    for (const auto& container : observed_.containers) {
      if (is_left_data(container, *current)) continue;
      if (container.labels.count(label_token) != 0 && !needed_members.contains(container.name)) unneeded.push_back(&container);
    }
    lock_->check();
    const auto start = host_.clock().steady();
    in_parallel(unneeded.size(), calls_at_once, [&](std::size_t index) {
      // What it wrote where nobody named a volume may be in use by its successor, or all that is left of the data.
      const auto role = unneeded[index]->labels.find(label_role);
      const bool rolled = role != unneeded[index]->labels.end() && (role->second == to_string(release::Role::stateless) || role->second == to_string(release::Role::one_shot));
      host_.api().remove_container(unneeded[index]->name, true, rolled, limits);
    });
    remove_unused_folders(host_.api(), host_.project(), limits);
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
    if (const auto empty = empty_leftovers(host_.store(), observed_.snapshot, limits); !empty.empty()) {
      lock_->check();
      host_.store().remove(empty, limits);
      host_.reporter().note(fmt::format("removed what a write that found no room had left in the state, without content: {}", fmt::join(empty, ", ")));
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

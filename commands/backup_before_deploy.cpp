#include "commands/backup_before_deploy.hpp"

#include <fmt/format.h>

#include "commands/backup_place.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {

std::string backup_before_deploy(Services& services, const std::string& environment, const ops::BackupSubject& database, const Limits& limits) {
  BackupPlace place{services, environment, std::nullopt};
  const auto fresh_for = place.environment().backup.fresh_for;
  if (fresh_for.count() > 0) {
    std::vector<backup::Broken> broken;
    const auto entries = place.catalogue().list(limits, &broken);
    // One that a restore took is of what was replaced since.
    if (!entries.empty() && entries.back().sound() && !entries.back().manifest.safety) {
      const auto age = services.clock().now() - entries.back().manifest.finished;
      if (age < fresh_for) return fmt::format("{} of {} is fresh enough", entries.back().manifest.label, format_age(age));
    }
  }
  backup::Subject subject{environment, database.target, {}};
  if (database.containers != nullptr) subject.container = backup::ContainerPlace{database.containers, database.container, database.container};
  place.add_companions(subject);
  try {
    const auto taken = backup::take(place.catalogue(), subject, place.options(), place.keys(), services.clock(), services.reporter(), limits);
    return fmt::format("{} · {} · verified", taken.manifest.label, format_bytes(taken.manifest.size()));
  } catch (Failure& failure) {
    failure.add_context("no verified backup, no deploy").with_hint("codops backup " + environment + " shows it alone; --skip-backup goes without");
    throw;
  }
}

}  // namespace codops::commands

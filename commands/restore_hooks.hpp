#pragma once
// What a restore does beside the database: the application's rest, migrations, the checks of health-check.
#include <memory>

#include "commands/services.hpp"
#include "lib/backup/restore.hpp"
#include "lib/ops/rest.hpp"
#include "lib/settings/environment.hpp"

namespace codops::commands {

struct RestoreWays {
  std::string application;  // leave, read_only, stop
  bool migrate{}, health{};
};

class RestoreWiring {
 public:
  RestoreWiring(Services& services, const settings::Environment& environment, const backup::Subject& subject, RestoreWays ways);
  // Live no longer than this.
  backup::RestoreHooks hooks();

 private:
  std::string migrate(const io::postgres::Target& fresh, const Limits& limits);
  std::string unwell(const Limits& limits);
  std::string asked(const Limits& bounded);

  Services& services_;
  const settings::Environment& environment_;
  const backup::Subject& subject_;
  RestoreWays ways_;
  std::unique_ptr<ops::Host> host_;
  std::unique_ptr<ops::ApplicationRest> rest_;
};

}  // namespace codops::commands

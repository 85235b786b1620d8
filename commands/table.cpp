// The command table. A new verb: its file, a make_ function in its group's header, a row here.
#include "commands/command.hpp"
#include "commands/config.hpp"
#include "commands/migrate.hpp"

namespace codops::commands {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table{
      {"config show", "Settings", "the settings that hold for an environment, and where each comes from",
       {{"config show production", "what is set for production"},
        {"config show production --origin --all", "every setting with the place it comes from"},
        {"config show production --key backup -o json", "one section, for a program"}},
       make_config_show},
      {"config check", "Settings", "everything that is wrong with the settings, at once",
       {{"config check", "checks every environment"}, {"config check production", "checks one"}},
       make_config_check},
      {"migrate", "Database", "applies what is pending, as Prisma, dbmate, golang-migrate or Flyway would, and safely",
       {{"migrate production", "applies what is pending"}, {"migrate production --dry-run", "shows what that would lock, and for how long"}},
       make_migrate_up},
      {"migrate up", "Database", "the same as migrate", {{"migrate up production --to 20261120_add_fee", "stops behind that one"}}, make_migrate_up},
      {"migrate status", "Database", "what is applied, pending, failed, edited, missing, out of order",
       {{"migrate status production", "exit 2: pending; 65: edited or missing; 1: failed"}}, make_migrate_status},
      {"migrate plan", "Database", "each pending statement with the lock it takes and for about how long",
       {{"migrate plan production", "judged against the tables' real sizes"}}, make_migrate_plan},
      {"migrate lint", "Database", "what in the files hurts a running application, why, and the safe rewrite",
       {{"migrate lint production --strict", "for CI: fails on what is pending"}, {"migrate lint production --all -o sarif", "for a code scanner"}},
       make_migrate_lint},
      {"migrate verify", "Database", "replays everything into a scratch database and compares it with the live schema",
       {{"migrate verify production", "exit 2: they differ"}}, make_migrate_verify},
      {"migrate down", "Database", "takes the last migrations back by their down scripts",
       {{"migrate down staging", "the last one"}, {"migrate down staging --to 20261120_add_fee", "all after that one"}}, make_migrate_down},
      {"migrate baseline", "Database", "marks migrations as applied that the database already has",
       {{"migrate baseline production --to 0_init", "up to and including 0_init"}}, make_migrate_baseline},
      {"migrate resolve", "Database", "says how a failed migration ended",
       {{"migrate resolve production --rolled-back 20261120_add_fee", "its effects are undone"},
        {"migrate resolve production --applied 20261120_add_fee", "its effects are complete"}},
       make_migrate_resolve},
      {"migrate new", "Database", "the files of a new, empty migration", {{"migrate new development \"add cod fee\"", "in the folder's own layout"}}, make_migrate_new},
      {"db init", "Database", "role, database, extensions and grants; changes nothing that is there",
       {{"db init production", "waits for the server"}, {"db init production --print", "only prints the SQL"}}, make_db_init},
  };
  return table;
}

}  // namespace codops::commands

// The command table. A new verb: its file, a make_ function in its group's header, a row here.
#include "commands/backup.hpp"
#include "commands/command.hpp"
#include "commands/config.hpp"
#include "commands/releases.hpp"

namespace codops::commands {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table{
      {"deploy", "Releases", "makes a version serve, without a failed request; undone by itself when it fails",
       {{"deploy production v1.0.0", "every service of that version"},
        {"deploy production v1.1.0 --dry-run", "the plan, and nothing else"},
        {"deploy production backend=v1.2.0", "one service; the others keep their images"}},
       make_deploy},
      {"rollback", "Releases", "goes back to a release that was kept: containers, configuration and environment",
       {{"rollback production", "to the release before"}, {"rollback production --to v1.0.0", "to a version or release number"}},
       make_rollback},
      {"scale", "Releases", "runs a service so many times", {{"scale production backend=3", "three containers"}}, make_scale},
      {"restart", "Releases", "rolls services: a new set of the same release beside the old one",
       {{"restart production backend", "one service"}, {"restart production", "all that roll"}},
       make_restart},
      {"backup", "Database", "takes a backup: verified, encrypted, published at once or not at all",
       {{"backup production", "the database of production, into its store"},
        {"backup production --jobs 2 --label \"before v2\"", "with two workers, and a name to find it by"}},
       make_backup},
      {"backup list", "Database", "backups with age, size, state, and why each is kept", {{"backup list production", "newest first"}}, make_backup_list},
      {"backup show", "Database", "what one backup holds", {{"backup show production latest", "its parts, tables and rows"}}, make_backup_show},
      {"backup verify", "Database", "reads a backup to its last byte", {{"backup verify production all", "every one"}}, make_backup_verify},
      {"backup drill", "Database", "restores a backup into a scratch server, compares every row, and times it",
       {{"backup drill production", "the newest one"}}, make_backup_drill},
      {"backup prune", "Database", "removes what no rule keeps", {{"backup prune production --dry-run", "says why each is kept or goes"}}, make_backup_prune},
      {"backup rm", "Database", "removes one backup", {{"backup rm production 20261123-020000F", "that one"}}, make_backup_rm},
      {"backup pin", "Database", "keeps one backup whatever the rules say", {{"backup pin production latest", "until --off"}}, make_backup_pin},
      {"backup export", "Database", "one file that pg_restore or psql reads without codops",
       {{"backup export production latest shop.dump", "for pg_restore"}, {"backup export production latest shop.sql --format plain", "for psql"}},
       make_backup_export},
      {"backup keygen", "Database", "keys to encrypt and sign backups with", {{"backup keygen", "and the lines for codops.yaml"}}, make_backup_keygen},
      {"restore", "Database", "puts a backup into the place of the live database, which is kept",
       {{"restore production latest", "the newest sound backup"},
        {"restore production 20261123-020000F --into shop_copy", "beside it"},
        {"restore production --undo", "back to what was there before"}},
       make_restore},
      {"config show", "Settings", "the settings that hold for an environment, and where each comes from",
       {{"config show production", "what is set for production"},
        {"config show production --origin --all", "every setting with the place it comes from"},
        {"config show production --key backup -o json", "one section, for a program"}},
       make_config_show},
      {"config check", "Settings", "everything that is wrong with the settings, at once",
       {{"config check", "checks every environment"}, {"config check production", "checks one"}},
       make_config_check},
      {"config reference", "Settings", "every setting: what it means, its default, its variable",
       {{"config reference", "prints a commented codops.yaml with every key"},
        {"config reference --schema > codops.schema.json", "for completion in an editor"}},
       make_config_reference},
  };
  return table;
}

}  // namespace codops::commands

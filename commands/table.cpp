// The command table. A new verb: its file, a make_ function in its group's header, a row here.
#include "commands/command.hpp"
#include "commands/config.hpp"

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
      {"config compose", "Settings", "the compose files as they are understood, merged and normalised, as JSON",
       {{"config compose production", "what a deploy to production would start from"},
        {"config compose -f compose.yaml -f more.yaml", "by docker compose's own rules"}},
       make_config_compose},
  };
  return table;
}

}  // namespace codops::commands

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
  };
  return table;
}

}  // namespace codops::commands

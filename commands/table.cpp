// The command table. A new verb: its file, a make_ function in its group's header, a row here.
#include "commands/command.hpp"
#include "commands/config.hpp"
#include "commands/releases.hpp"
#include "commands/health.hpp"

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
      {"health-check", "Watching", "whether everything is well, and if not, in which stage and why",
       {{"health-check production", "the checks of codops.yaml, or found by convention"},
        {"health-check --url https://shop.example.com/health --tcp db:5432", "without any settings"},
        {"health-check --wait --tcp db:5432 -- npm start", "becomes the program once the port accepts"},
        {"health-check production -o nagios", "one line with performance data, and a plugin's exit code"}},
       make_health_check},
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
      {"config compose", "Settings", "the compose files as they are understood, merged and normalised, as JSON",
       {{"config compose production", "what a deploy to production would start from"},
        {"config compose -f compose.yaml -f more.yaml", "by docker compose's own rules"}},
       make_config_compose},
  };
  return table;
}

}  // namespace codops::commands

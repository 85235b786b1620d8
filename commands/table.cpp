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
      {"build", "Releases", "builds the images of a version on the engine",
       {{"build production v1.1.0", "all services that have build:"}, {"build production v1.1.0 backend --push", "one, and sends it to its registry"}},
       make_build},
      {"status", "Watching", "is it up, which version, since when, is anything odd",
       {{"status production", "for people"}, {"status production --check -o json", "for a program: exit 2 when something is odd"}},
       make_status},
      {"history", "Watching", "what was deployed, by whom, and how it ended",
       {{"history production", "one line a run"}, {"history production 12 --logs", "the story of one, with the logs of what failed"},
        {"history production --journal", "every step as it was journalled"}},
       make_history},
      {"logs", "Watching", "what the containers print",
       {{"logs production backend -f", "one service, as it goes on"}, {"logs production -n 20", "the last lines of all"}},
       make_logs},
      {"exec", "Operating", "runs a command in a container that runs", {{"exec production backend -- node -v", "in its first container"}}, make_exec},
      {"run", "Operating", "runs a command in a container of its own, removed afterwards",
       {{"run production backend -- npm run seed", "with the service's image, environment and networks"}}, make_run},
      {"maintenance", "Operating", "answers 503 with a page at the front, and back",
       {{"maintenance production on --page sorry.html", "shows a page"}, {"maintenance production off", "the application again"}}, make_maintenance},
      {"down", "Operating", "removes the containers and networks of an environment; volumes only when told",
       {{"down staging", "keeps the data"}, {"down staging --volumes --yes", "and the data"}}, make_down},
      {"resume", "Operating", "finishes or undoes what a run that died left behind",
       {{"resume production", "what every changing command does first"}}, make_resume},
      {"abort", "Operating", "undoes what a run that died left behind", {{"abort production", "never goes forward"}}, make_abort},
      {"unlock", "Operating", "evicts the run that holds the lock; shows whom first", {{"unlock production", "asks"}}, make_unlock},
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

// `codops backup drill`.
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/scratch_server.hpp"
#include "lib/base/units.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

class DrillCommand final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, or latest", false);
    parameters.option("--store", "DIR", store_, "instead of backup.store");
    parameters.option("--server-env", "NAME", server_variable_, "the variable with the URL of a server to restore on; without it a temporary one is started here");
    parameters.flag("--same-server", same_server_, "restore beside the live database, on its server and with its container's programs; the scratch database is dropped");
    parameters.number("--jobs", "N", jobs_, "connections that load rows and build indexes");
  }

  Result run(Services& services) override {
    BackupPlace place{services, environment_, store_};
    const auto entry = place.find(backup_);
    std::unique_ptr<backup::ScratchServer> scratch;
    io::postgres::Target server;
    std::optional<backup::ContainerPlace> container;
    if (same_server_ && server_variable_) throw Failure{Exit::usage, "--same-server does not go with --server-env", "one of them"};
    if (same_server_) {
      const auto subject = place.subject({});
      container = subject.container;
      server = backup::server_of(subject, services.limits());
    } else if (server_variable_) {
      const auto url = services.variable(*server_variable_);
      if (!url) throw Failure{Exit::config, fmt::format("{} is not set", *server_variable_)};
      server = io::postgres::parse_target(*url, *server_variable_);
    } else {
      const int major = entry.manifest.database ? entry.manifest.database->server_number / 10000 : 0;
      scratch = std::make_unique<backup::ScratchServer>(major, services.limits());
      server = scratch->target();
    }
    backup::LoadOptions load;
    load.jobs = static_cast<int>(std::clamp<std::int64_t>(jobs_.value_or(2), 1, 64));
    const auto result = backup::drill(place.catalogue(), entry, server, scratch != nullptr, load, place.keys(), services.clock(), services.reporter(), services.limits(), container);
    const auto rto = place.environment().backup.rto;
    const bool in_time = result.took <= rto;
    const auto text = !result.same ? fmt::format("{} did not come back: {}\n", entry.manifest.label, result.difference)
                                   : fmt::format("{} came back whole: {} rows in {} tables, the same · {} (RTO {}{})\n", entry.manifest.label, result.rows, entry.manifest.tables.size(),
                                                 format_duration(result.took), format_duration(rto), in_time ? "" : ", MISSED");
    // An older one came back; the newest, which find() has warned of, would not.
    const bool newest = entry.passed_over.empty();
    const auto exit = result.same && in_time && newest ? Exit::ok : Exit::unhealthy;
    return {exit, text,
            Json{{"exit", static_cast<int>(exit)}, {"label", entry.manifest.label}, {"same", result.same}, {"difference", result.difference}, {"rows", result.rows},
                 {"seconds", static_cast<double>(result.took.count()) / 1000}, {"rto_seconds", static_cast<double>(rto.count()) / 1000}}.dump()};
  }

 private:
  std::string environment_, backup_{"latest"};
  std::optional<std::string> store_, server_variable_;
  std::optional<std::int64_t> jobs_;
  bool same_server_{};
};

}  // namespace

std::unique_ptr<Command> make_backup_drill() { return make_command<DrillCommand>(); }

}  // namespace codops::commands

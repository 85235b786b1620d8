// `codops backup drill`.
#include <nlohmann/json.hpp>

#include "commands/backup.hpp"
#include "commands/backup_place.hpp"
#include "commands/database.hpp"
#include "commands/host.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/scratch_server.hpp"
#include "lib/base/units.hpp"
#include "lib/ops/drill_server.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

// Where a drill restores. What was made for it goes with this.
struct DrillPlace {
  std::string kind;  // "host", "container", "named", "same"
  io::postgres::Target server;
  std::optional<backup::ContainerPlace> container;
  std::unique_ptr<backup::ScratchServer> scratch;
  std::unique_ptr<ops::Engine> engine;
  std::unique_ptr<ops::DrillServer> in_container;  // on `engine`

  bool own() const { return scratch || in_container; }
};

class DrillCommand final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("BACKUP", backup_, "a label (its newest), a stamp, or latest", false);
    parameters.option("--store", "DIR", store_, "instead of backup.store");
    parameters.option("--image", "IMAGE", image_, "a temporary container of that image of PostgreSQL on the environment's engine; built in: this machine's PostgreSQL, else the image of the database's own container");
    parameters.option("--server-env", "NAME", server_variable_, "the variable with the URL of a server to restore on; without it a temporary one is started");
    parameters.flag("--same-server", same_server_, "restore beside the live database, on its server and with its container's programs; the scratch database is dropped");
    parameters.number("--jobs", "N", jobs_, "connections that load rows and build indexes");
  }

  Result run(Services& services) override {
    if (same_server_ + server_variable_.has_value() + image_.has_value() > 1) throw Failure{Exit::usage, "--same-server, --server-env and --image don't go together", "one of them"};
    BackupPlace place{services, environment_, store_};
    const auto entry = place.find(backup_);
    if (!entry.manifest.database) throw Failure{Exit::data, fmt::format("backup {} has no database to drill", entry.manifest.label)};
    const auto where = choose(services, place, entry.manifest.database->server_number / 10000);
    backup::LoadOptions load;
    load.jobs = static_cast<int>(std::clamp<std::int64_t>(jobs_.value_or(2), 1, 64));
    const auto result = [&] {
      try {
        return backup::drill(place.catalogue(), entry, where.server, where.own(), load, place.keys(), services.clock(), services.reporter(), services.limits(), where.container);
      } catch (const Failure& failure) {
        services.limits().check("the drill");
        const auto why = where.in_container ? where.in_container->ended() : std::string{};
        if (why.empty()) throw;
        throw Failure{failure.code(), fmt::format("{}\n{}", failure.message(), why), failure.hint()};
      }
    }();
    const auto rto = place.environment().backup.rto;
    const bool in_time = result.took <= rto;
    const auto text = !result.same ? fmt::format("{} did not come back: {}\n", entry.manifest.label, result.difference)
                                   : fmt::format("{} came back whole: {} rows in {} tables, the same · {} (RTO {}{})\n", entry.manifest.label, result.rows, entry.manifest.tables.size(),
                                                 format_duration(result.took), format_duration(rto), in_time ? "" : ", MISSED");
    // An older one came back; the newest, which find() has warned of, would not.
    const bool newest = entry.passed_over.empty();
    const auto exit = result.same && in_time && newest ? Exit::ok : Exit::unhealthy;
    return {exit, text,
            Json{{"exit", static_cast<int>(exit)}, {"label", entry.manifest.label}, {"server", where.kind}, {"same", result.same}, {"difference", result.difference}, {"rows", result.rows},
                 {"seconds", static_cast<double>(result.took.count()) / 1000}, {"rto_seconds", static_cast<double>(rto.count()) / 1000}}.dump()};
  }

 private:
  DrillPlace choose(Services& services, BackupPlace& place, int major) const {
    DrillPlace where;
    auto& reporter = services.reporter();
    if (same_server_) {
      where.kind = "same";
      const auto subject = place.subject({});
      where.container = subject.container;
      where.server = backup::server_of(subject, services.limits());
      reporter.note(fmt::format("server: the database's own, {}", where.server.describe()));
      return where;
    }
    if (server_variable_) {
      where.kind = "named";
      const auto url = services.variable(*server_variable_);
      if (!url) throw Failure{Exit::config, fmt::format("{} is not set", *server_variable_)};
      where.server = io::postgres::parse_target(*url, *server_variable_);
      reporter.note(fmt::format("server: of {}, {}", *server_variable_, where.server.describe()));
      return where;
    }
    if (image_) {
      in_container(services, where, engine_of(services), *image_, *image_);
      if (where.in_container) return where;
      throw Failure{Exit::config, fmt::format("a container for a drill takes a Docker engine, which \"{}\" has not", environment_), "--server-env NAME, or --same-server"};
    }
    if (!backup::ScratchServer::possible(major)) {
      if (auto reached = database_in_container(services, place.environment())) {
        const auto container = reached->container->container;
        // The way to its port goes before the engine does.
        reached->container.reset();
        in_container(services, where, std::move(reached->engine), container.image_id, container.image);
        if (where.in_container) return where;
      }
    }
    where.kind = "host";
    where.scratch = std::make_unique<backup::ScratchServer>(major, services.limits());
    where.server = where.scratch->target();
    reporter.note("server: a temporary one of this machine's PostgreSQL");
    return where;
  }

  std::unique_ptr<ops::Engine> engine_of(Services& services) const {
    try {
      return open_engine(services, environment_);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::config) throw;
      throw Failure{Exit::config, "--image: the environment's engine can't be had: " + failure.message(), "--server-env NAME, --same-server, or neither: this machine's PostgreSQL"};
    }
  }

  // Sets nothing where the engine has no such servers.
  static void in_container(Services& services, DrillPlace& where, std::unique_ptr<ops::Engine> engine, const std::string& image, const std::string& shown) {
    auto server = engine->drill_server(image, shown, services.limits());
    if (!server) return;
    where.kind = "container";
    where.server = server->target();
    where.container = backup::ContainerPlace{&engine->containers(), server->id(), server->name()};
    services.reporter().note(fmt::format("server: a temporary container of {}, {}", shown, engine->shown()));
    where.engine = std::move(engine);
    where.in_container = std::move(server);
  }

  // nullopt: it is elsewhere, or can't be reached; a drill needs it for nothing else.
  static std::optional<ReachedDatabase> database_in_container(Services& services, const settings::Environment& environment) {
    try {
      auto reached = reach_database(services, environment, std::nullopt);
      if (reached.container) return reached;
    } catch (const Failure&) {
      services.limits().check("looking for the database's container");
    }
    return std::nullopt;
  }

  std::string environment_, backup_{"latest"};
  std::optional<std::string> store_, server_variable_, image_;
  std::optional<std::int64_t> jobs_;
  bool same_server_{};
};

}  // namespace

std::unique_ptr<Command> make_backup_drill() { return make_command<DrillCommand>(); }

}  // namespace codops::commands

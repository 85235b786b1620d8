#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands/migrate.hpp"
#include "commands/migrate_options.hpp"
#include "lib/migrate/script_error.hpp"

namespace codops::commands {

namespace {

using migrate::State;

class MigrateStatus final : public Command {
 public:
  void declare(Parameters& parameters) override {
    options_.declare_environment(parameters);
    options_.declare_version(parameters);
    options_.declare_files(parameters);
    options_.declare_database(parameters);
    parameters.flag("--all", all_, "applied ones too");
  }

  Result run(Services& services) override {
    const auto environment = options_.environment(services);
    const auto source = options_.source(services, environment);
    auto connection = options_.connect(services, environment);
    const auto ledger = migrate::status(source, connection, true, services.limits());
    return {ledger.exit(), text(ledger, environment.name, options_.database_shown()), json(ledger, environment.name)};
  }

 private:
  static std::string remark(const migrate::Item& item) {
    switch (item.state) {
      case State::pending: return item.out_of_order ? "out of order: later ones are applied" : item.rolled_back ? "an earlier attempt was rolled back" : "";
      case State::edited: return "the file is not the one that was applied";
      case State::missing: return "applied here, but there is no such file";
      case State::unfinished:
        if (item.taking_back) return fmt::format("half taken back, {} statements of its down script done; migrate down continues", item.entry ? item.entry->steps : 0);
        return fmt::format("stopped between statements, {} done; migrate up continues", item.entry ? item.entry->steps : 0);
      case State::failed: return item.entry ? item.entry->logs.substr(0, item.entry->logs.find('\n')) : "";
      case State::applied: return item.entry ? item.entry->finished_at : "";
    }
    return "";
  }

  std::string text(const migrate::Ledger& ledger, const std::string& environment, const std::string& database) const {
    std::string text = fmt::format("{} · {} · {}{}\n", environment, database, migrate::name_of(ledger.layout), ledger.has_history ? "" : " · no history yet");
    for (const auto& item : ledger.items) {
      if (item.state == State::applied && !all_) continue;
      text += fmt::format("  {:<10} {}{}\n", migrate::name_of(item.state), migrate::printable(item.name), remark(item).empty() ? "" : "   " + migrate::printable(remark(item)));
    }
    const auto applied = ledger.count(State::applied);
    if (ledger.exit() == Exit::ok) return text + fmt::format("up to date ({} migrations)\n", applied);
    text += fmt::format("{} applied", applied);
    for (const auto state : {State::pending, State::unfinished, State::failed, State::edited, State::missing}) {
      if (const auto count = ledger.count(state); count > 0) text += fmt::format(", {} {}", count, migrate::name_of(state));
    }
    return text + "\n";
  }

  static std::string json(const migrate::Ledger& ledger, const std::string& environment) {
    nlohmann::ordered_json document{{"environment", environment}, {"layout", migrate::name_of(ledger.layout)}, {"history", ledger.has_history}};
    for (const auto state : {State::applied, State::pending, State::unfinished, State::failed, State::edited, State::missing}) {
      document["counts"][std::string{migrate::name_of(state)}] = ledger.count(state);
    }
    document["migrations"] = nlohmann::ordered_json::array();
    for (const auto& item : ledger.items) {
      nlohmann::ordered_json row{{"name", item.name}, {"state", migrate::name_of(item.state)}};
      if (item.out_of_order) row["out_of_order"] = true;
      if (item.rolled_back) row["rolled_back"] = true;
      if (item.taking_back) row["taking_back"] = true;
      if (item.entry) {
        row["started_at"] = item.entry->started_at;
        row["finished_at"] = item.entry->finished_at;
        row["steps"] = item.entry->steps;
        if (item.state == State::failed || item.state == State::unfinished) row["logs"] = item.entry->logs;
      }
      document["migrations"].push_back(std::move(row));
    }
    document["exit"] = static_cast<int>(ledger.exit());
    return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  MigrateOptions options_;
  bool all_{};
};

}  // namespace

std::unique_ptr<Command> make_migrate_status() { return std::make_unique<MigrateStatus>(); }

}  // namespace codops::commands

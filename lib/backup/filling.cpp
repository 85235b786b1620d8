// What a restore leaves on the server while it runs, written there so that whoever comes after its death can take it back.
#include <nlohmann/json.hpp>

#include "lib/backup/restore_steps.hpp"
#include "lib/backup/swap.hpp"
#include "lib/base/retry.hpp"
#include "lib/store/process_identity.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;
using io::postgres::quote_identifier;
using io::postgres::quote_literal;

constexpr std::string_view mark_prefix = "codops restore: ";

bool is_side(const std::string& name, const std::string& live, const char* word) {
  const auto like = side_name(live, word, WallTime{});
  return name.size() == like.size() && name.starts_with(std::string_view{like}.substr(0, like.size() - stamp_length));
}

// A database is made before it can be marked: who died between left an empty one without a word on it.
void drop_unmarked(Connection& server, const std::string& live, std::vector<std::string>& done, const Limits& limits) {
  const auto rows = server.query("SELECT datname FROM pg_catalog.pg_database WHERE datname ~ '_(new|tables)_[0-9]{8}_[0-9]{6}_[0-9]{3}$'"
                                 " AND pg_catalog.shobj_description(oid, 'pg_database') IS NULL", {}, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name{rows.text(i, 0)};
    if (!is_side(name, live, "new") && !is_side(name, live, "tables")) continue;
    drop_database(server, name, limits);
    done.push_back(fmt::format("\"{}\", which a restore that died had just made, is dropped", name));
  }
}

}  // namespace

bool is_read_only(Connection& server, const std::string& database, const Limits& limits) {
  return !server.query("SELECT FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
                       " WHERE d.datname = $1 AND s.setrole = 0 AND EXISTS (SELECT FROM pg_catalog.unnest(s.setconfig) c WHERE c IN ($2 || '=on', $2 || '=true', $2 || '=1', $2 || '=yes'))",
                       {database, std::string{read_only_setting}}, limits)
              .empty();
}

void make_read_only(Connection& server, const std::string& database, const Limits& limits) {
  server.run(fmt::format("ALTER DATABASE {} SET {} TO on", quote_identifier(database), read_only_setting), limits);
  // Who looks in for a moment (monitoring) is waited for.
  Backoff backoff{Milliseconds{50}, Milliseconds{500}};
  for (int attempt = 0;; ++attempt) {
    const auto staying = end_sessions(server, database, limits);
    if (staying.empty()) return;
    if (attempt >= 5 || !backoff.wait(limits)) throw sessions_stay(server, database, staying);
  }
}

void make_writable(Connection& server, const std::string& database, const Limits& limits) {
  server.run(fmt::format("ALTER DATABASE {} RESET {}", quote_identifier(database), read_only_setting), limits);
  // Sessions keep what they began with. One that we may not end was there before us, and is not read-only.
  end_sessions(server, database, limits);
}

void mark(Connection& server, const std::string& name, const Mark& mark, const Limits& limits) {
  const auto self = store::this_process();
  const nlohmann::json json{{"live", mark.live}, {"read_only", mark.read_only}, {"drop", mark.drop}, {"comment", mark.comment}, {"pid", self.pid},
                            {"start_time", self.start_time}, {"boot_id", self.boot_id}, {"pid_namespace", self.pid_namespace}, {"host", store::host_name()}};
  server.run(fmt::format("COMMENT ON DATABASE {} IS {}", quote_identifier(name), quote_literal(std::string{mark_prefix} + json.dump())), limits);
}

std::vector<std::string> mend_restores(Connection& server, const std::string& live, const Limits& limits) {
  std::vector<std::string> done;
  // While nobody else holds the restore's lock, every mark of a restore is a dead one's, whichever machine or container it ran on.
  const bool alone = !live.empty() && try_lock_restore(server, live, limits);
  if (alone) drop_unmarked(server, live, done, limits);
  const auto rows = server.query("SELECT datname, pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database"
                                 " WHERE pg_catalog.starts_with(pg_catalog.shobj_description(oid, 'pg_database'), $1)",
                                 {std::string{mark_prefix}}, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name{rows.text(i, 0)};
    const auto json = nlohmann::json::parse(rows.text(i, 1).substr(mark_prefix.size()), nullptr, false);
    if (!json.is_object()) continue;
    std::string of, comment;
    bool gone = false, read_only = false, drop = true;
    try {
      of = json.value("live", "");
      comment = json.value("comment", "");
      read_only = json.value("read_only", false);
      drop = json.value("drop", true);
      gone = store::is_gone({json.value("boot_id", ""), json.value("pid_namespace", ""), json.value("pid", std::int64_t{}), json.value("start_time", std::uint64_t{})});
    } catch (const nlohmann::json::exception&) {
      continue;  // no mark of ours
    }
    if (!live.empty() && of != live) continue;
    // A drill takes no lock; while it lives it keeps an idle session in what it fills. One that builds an index does not notice a death.
    const bool drills = is_side(name, of, "drill");
    const bool dead = drills ? server.query("SELECT FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND application_name = $2", {name, drill_application}, limits).empty() : alone;
    if (!dead && !gone) continue;
    if (drills) {
      drop_database(server, name, limits);
      done.push_back(fmt::format("\"{}\", which a drill that died was filling, is dropped", name));
      continue;
    }
    if (!server.query("SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND NOT datallowconn", {of}, limits).empty()) {
      server.run(fmt::format("ALTER DATABASE {} ALLOW_CONNECTIONS true", quote_identifier(of)), limits);
      done.push_back(fmt::format("\"{}\" takes connections again: a restore that died had closed it", of));
    }
    if (read_only && is_read_only(server, of, limits)) {
      make_writable(server, of, limits);
      done.push_back(fmt::format("\"{}\" takes writes again: a restore that died had made it read-only", of));
    }
    if (drop) {
      drop_database(server, name, limits);
      done.push_back(fmt::format("\"{}\", which a restore that died was filling, is dropped", name));
    } else {
      server.run(fmt::format("COMMENT ON DATABASE {} IS {}", quote_identifier(name), comment.empty() ? std::string{"NULL"} : quote_literal(comment)), limits);
    }
  }
  if (alone) unlock_restore(server, live, limits);
  return done;
}

}  // namespace codops::backup

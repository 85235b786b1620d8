#include "lib/backup/written.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "lib/base/retry.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {

Written rows_written(io::postgres::Connection& session, const Limits& limits) {
  const auto rows = session.query("SELECT relid::text, schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_catalog.pg_stat_user_tables WHERE schemaname !~ '^pg_temp'", limits);
  Written written;
  for (std::size_t i = 0; i < rows.size(); ++i) written[std::string{rows.text(i, 0)}] = {std::string{rows.text(i, 1)}, rows.number(i, 2)};
  return written;
}

std::string written_since(const Written& before, const Written& now) {
  std::vector<TableWritten> more;
  for (const auto& [oid, table] : now) {
    const auto known = before.find(oid);
    const auto rows = table.rows - (known == before.end() ? 0 : known->second.rows);
    if (rows > 0) more.push_back({table.name, rows});
  }
  std::sort(more.begin(), more.end(), [](const auto& a, const auto& b) { return a.rows != b.rows ? a.rows > b.rows : a.name < b.name; });
  constexpr std::size_t shown = 3;
  std::string text;
  for (std::size_t i = 0; i < more.size() && i < shown; ++i) {
    const auto word = i > 0 ? "" : more[i].rows == 1 ? "row " : "rows ";
    text += fmt::format("{}{} {}of {}", i == 0 ? "" : ", ", more[i].rows, word, text::printable(more[i].name, 100));
  }
  if (more.size() > shown) text += fmt::format(" and more of {} other table{}", more.size() - shown, more.size() == shown + 1 ? "" : "s");
  return text;
}

std::string server_time(io::postgres::Connection& server, const Limits& limits) {
  return std::string{server.query("SELECT pg_catalog.clock_timestamp()::text", limits).text(0, 0)};
}

void await_sessions_gone(io::postgres::Connection& server, const std::string& database, const std::string& time, const Limits& limits) {
  const auto patience = limits.within(Milliseconds{5'000});
  Backoff backoff{Milliseconds{20}, Milliseconds{300}};
  while (!server.query("SELECT FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND usesysid IS NOT NULL AND backend_start < $2::timestamptz", {database, time}, limits).empty()) {
    if (!backoff.wait(patience)) return limits.check("a restore");
  }
}

}  // namespace codops::backup

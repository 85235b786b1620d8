#pragma once
// default_transaction_read_only is a default: BEGIN READ WRITE goes past it. Whether somebody did is in the server's counters.
#include <map>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::backup {

struct TableWritten {
  std::string name;      // for people: "public.orders"
  std::int64_t rows{};   // inserted, updated, deleted; rolled back or not
};
using Written = std::map<std::string, TableWritten>;  // by oid

// Of the tables of users in the session's database, temporary ones left aside. A session's own come within 10 s, and when it ends.
Written rows_written(io::postgres::Connection& session, const Limits& limits);
// "46 rows of public.orders, 2 of public.items and more of 3 other tables"; empty: none.
std::string written_since(const Written& before, const Written& now);

std::string server_time(io::postgres::Connection& server, const Limits& limits);
// Those of `database` that began before `time`; for 5 s at most.
void await_sessions_gone(io::postgres::Connection& server, const std::string& database, const std::string& time, const Limits& limits);

}  // namespace codops::backup

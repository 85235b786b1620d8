#pragma once
// PostgreSQL on the event loop: libpq's asynchronous connect, SELECT 1, and on request what its statistics say.
#include "lib/io/event_loop.hpp"
#include "lib/io/postgres.hpp"
#include "lib/io/probe.hpp"
#include "lib/io/resolver.hpp"

namespace codops::io {

struct PostgresFacts {
  std::string version;
  std::optional<bool> replica;
  std::optional<Milliseconds> lag;  // a replica's behind its primary; a primary's slowest replica's; absent: there is none to see
  bool lost_primary{false};         // it did receive, and does no more: `lag` is then the age of what it replayed last
  int hidden_replicas{0};           // there, but this role may not see how far they are
  std::optional<int> connections, max_connections;
  std::string statistics_error;     // why the statistics are missing, when they were asked for
};

struct PostgresResult : ProbeResult {
  PostgresFacts facts;
  std::string sqlstate;
};

struct PostgresProbeTarget {
  postgres::Target target;
  Via via;
  bool statistics{false};
};

std::unique_ptr<Probe> start_postgres_probe(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target,
                                            std::function<void(const PostgresResult&)> done);

}  // namespace codops::io

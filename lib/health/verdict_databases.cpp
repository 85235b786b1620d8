#include "lib/base/units.hpp"
#include "lib/health/verdict.hpp"
#include "lib/health/verdict_parts.hpp"

namespace codops::health {
namespace {

Finding judge_lag(const PostgresCheck& check, const io::PostgresFacts& facts) {
  const auto seconds = [](const std::optional<Milliseconds>& value) {
    return value ? std::optional{static_cast<double>(value->count()) / 1000.0} : std::nullopt;
  };
  const bool matters = check.warn_lag || check.fail_lag;
  const bool replica = facts.replica.value_or(false);
  Finding out;
  if (facts.lag) {
    const double value = *seconds(facts.lag);
    out.metrics.push_back({"lag", value, "s", seconds(check.warn_lag), seconds(check.fail_lag), 0, std::nullopt});
    out.status = level(value, seconds(check.warn_lag), seconds(check.fail_lag));
    if (out.status != Status::ok) {
      out.stage = io::Stage::body;
      out.message = "replication lags " + format_duration(*facts.lag) + " behind";
      out.hint = "see pg_stat_replication on the primary";
    }
  }
  if (!matters) return out;
  if (facts.lost_primary) {
    // What it replayed last may be young yet: nothing new comes.
    const auto last = facts.lag ? "; what it replayed last is from " + format_age(*facts.lag) : std::string{};
    auto lost = found(Status::fail, io::Stage::body, "the replica has lost its primary: it receives nothing" + last, "see its log, and pg_stat_replication on the primary");
    lost.metrics = std::move(out.metrics);
    return lost;
  }
  if (!replica && facts.hidden_replicas > 0) {
    return found(Status::unknown, io::Stage::body, "this role may not see how far the replicas are", "GRANT pg_monitor TO the user of the check");
  }
  if (facts.lag) return out;
  return replica ? found(Status::unknown, io::Stage::body, "the replica has replayed nothing yet: its lag is not known", "see pg_stat_wal_receiver")
                 : found(Status::unknown, io::Stage::body, "no replica is connected: there is no lag to measure", "see the replicas' logs, or leave the lag's limit away");
}

}  // namespace

Finding judge_postgres(const PostgresCheck& check, const io::PostgresFacts& facts) {
  Finding out;
  const bool wanted = check.warn_lag || check.fail_lag || check.warn_connections || check.fail_connections;
  if (wanted && !facts.statistics_error.empty()) {
    return found(Status::unknown, io::Stage::body, "the statistics can't be read: " + facts.statistics_error,
                 "GRANT pg_monitor TO the user of the check");
  }
  if (facts.connections && facts.max_connections && *facts.max_connections > 0) {
    const double used = 100.0 * *facts.connections / *facts.max_connections;
    out.metrics.push_back({"connections", used, "%", as_double(check.warn_connections), as_double(check.fail_connections), 0, 100});
    out.status = level(used, as_double(check.warn_connections), as_double(check.fail_connections));
    if (out.status != Status::ok) {
      out.stage = io::Stage::body;
      out.message = fmt::format("{} of {} connections are used", *facts.connections, *facts.max_connections);
      out.hint = "look for idle ones in pg_stat_activity, or raise max_connections";
    }
  }
  return worse(std::move(out), judge_lag(check, facts));
}

Finding judge_redis(const RedisCheck& check, const io::RedisFacts& facts) {
  if (facts.loading) return found(Status::fail, io::Stage::body, "Redis is still loading its data", "wait for it");
  if (!check.expect_role.empty() && facts.role != check.expect_role) {
    return found(facts.role.empty() ? Status::unknown : Status::fail, io::Stage::body,
                 fmt::format("its role is \"{}\", not \"{}\"", facts.role, check.expect_role), "check the failover: INFO replication");
  }
  if (!facts.replica_link_up) {
    return found(Status::fail, io::Stage::body, "the replica has lost its primary", "check the primary: INFO replication");
  }
  const bool limited = check.measured && (check.warn_memory || check.fail_memory);
  if (limited && !facts.used_memory) {
    return found(Status::unknown, io::Stage::body, "its memory can't be looked at: " + (facts.info_error.empty() ? "INFO tells none" : facts.info_error),
                 fmt::format("let the user ask for it: ACL SETUSER {} +info", check.target.user.empty() ? "default" : check.target.user));
  }
  Finding out;
  if (facts.write_errors) {
    out = found(Status::warn, io::Stage::body, "the last snapshot failed: Redis may refuse writes", "check its disk: INFO persistence");
  }
  if (facts.used_memory && facts.max_memory.value_or(0) > 0) {
    const double used = 100.0 * static_cast<double>(*facts.used_memory) / static_cast<double>(*facts.max_memory);
    Finding memory;
    memory.metrics.push_back({"memory", used, "%", as_double(check.warn_memory), as_double(check.fail_memory), 0, 100});
    memory.status = level(used, as_double(check.warn_memory), as_double(check.fail_memory));
    if (memory.status != Status::ok) {
      memory.stage = io::Stage::body;
      memory.message = fmt::format("{} of {} of memory are used", format_bytes(*facts.used_memory), format_bytes(*facts.max_memory));
      memory.hint = "raise maxmemory, or let keys expire";
    }
    out = worse(std::move(out), std::move(memory));
  } else if (facts.used_memory) {
    out.metrics.push_back({"memory", static_cast<double>(*facts.used_memory), "B", std::nullopt, std::nullopt, 0, std::nullopt});
    if (check.warn_memory || limited) {
      const auto status = limited && check.fail_memory ? Status::unknown : Status::warn;
      out = worse(std::move(out), found(status, io::Stage::body, "Redis has no memory limit", "set maxmemory"));
    }
  }
  return out;
}

}  // namespace codops::health

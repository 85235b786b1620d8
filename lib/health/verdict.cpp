#include "lib/health/verdict.hpp"

#include <charconv>
#include <map>
#include <set>

#include "lib/base/units.hpp"

namespace codops::health {
namespace {

Finding found(Status status, io::Stage stage, std::string message, std::string hint) {
  return {status, stage, std::move(message), std::move(hint), {}};
}

double days(std::chrono::milliseconds duration) { return static_cast<double>(duration.count()) / 86'400'000.0; }

std::optional<double> as_double(const std::optional<int>& value) {
  return value ? std::optional{static_cast<double>(*value)} : std::nullopt;
}

// A percentage beside its two limits.
Status level(double value, std::optional<double> warn, std::optional<double> fail) {
  if (fail && value >= *fail) return Status::fail;
  return warn && value >= *warn ? Status::warn : Status::ok;
}

int rank(Status status) {
  switch (status) {
    case Status::fail: return 3;
    case Status::unknown: return 2;
    case Status::warn: return 1;
    default: return 0;
  }
}

std::string status_hint(long status) {
  switch (status) {
    case 401:
    case 403: return "the endpoint wants a login: --header 'Authorization: …', or exempt it";
    case 404: return "check the path";
    case 429: return "the endpoint limits its callers: exempt the health check";
    case 502:
    case 504: return "the proxy reaches nobody behind it: check the upstream service";
    case 503: return "the service says that it is not ready: see its log";
    default: return status >= 500 ? "see the service's log" : "";
  }
}

// nginx lets the handshake pass and answers 400; 495 and 496 are its own, inside.
bool misses_certificate(const io::HttpProbeResult& result) {
  const bool refused = result.status == 400 || result.status == 401 || result.status == 403 || result.status == 495 || result.status == 496;
  return refused && result.tls && result.tls->misses_certificate;
}

Finding judge_body(const HttpCheck& check, const io::HttpProbeResult& result) {
  // A server may compress what nobody asked it to: then nothing of the body is known.
  const auto* encoding = result.header("content-encoding");
  const bool matters = !check.body_contains.empty() || !check.expect_json.empty() || (check.read_status && result.is_json && !result.body.empty());
  if (matters && encoding != nullptr && !encoding->empty() && *encoding != "identity") {
    return found(Status::unknown, io::Stage::body, fmt::format("the body is compressed (Content-Encoding: {}): it can't be read here", encoding->substr(0, 40)),
                 "send no Accept-Encoding, and let the server compress only what asks for it");
  }
  for (const auto& wanted : check.body_contains) {
    if (result.body.find(wanted) == std::string::npos) {
      return found(Status::fail, io::Stage::body,
                   fmt::format("the body does not contain \"{}\"{}", wanted,
                               result.body_bytes > result.body.size() ? fmt::format(" in its first {}", format_bytes(result.body.size())) : ""),
                   "");
    }
  }
  const bool complete = result.body_bytes == result.body.size();
  if (!complete && !check.expect_json.empty()) {
    return found(Status::fail, io::Stage::body,
                 "the body is longer than " + format_bytes(check.request.keep_body) + ": too long to be read as JSON", "");
  }
  try {
    for (const auto& wanted : check.expect_json) {
      const auto value = json_at(result.body, wanted.path);
      if (value == wanted.equals) continue;
      return found(Status::fail, io::Stage::body,
                   value ? fmt::format("{} is \"{}\", not \"{}\"", wanted.path, value->substr(0, 80), wanted.equals)
                         : fmt::format("{} is missing in the body", wanted.path),
                   "");
    }
    if (!check.read_status || !complete || !result.is_json || result.body.empty()) return {};
    switch (json_status(result.body).value_or(Status::ok)) {
      case Status::fail:
        return found(Status::fail, io::Stage::body,
                     fmt::format("HTTP {}, but the body says \"{}\"", result.status, *json_at(result.body, "status")),
                     "see the body: curl -s " + io::shown_url(result.url));
      case Status::warn:
        return found(Status::warn, io::Stage::body,
                     fmt::format("the body says \"{}\"", *json_at(result.body, "status")),
                     "see the body: curl -s " + io::shown_url(result.url));
      default: return {};
    }
  } catch (const Failure& failure) {
    return found(Status::fail, io::Stage::body, failure.message(), "the server stopped in the middle, or it is no JSON: see its log");
  }
}

}  // namespace

std::optional<StatusCodes> StatusCodes::parse(std::string_view text) {
  StatusCodes out;
  out.ranges_.clear();
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    auto word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto number = [](std::string_view digits) -> std::optional<long> {
      long value = 0;
      const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      const bool whole = error == std::errc{} && stop == digits.data() + digits.size();
      return whole && value >= 100 && value <= 599 ? std::optional{value} : std::nullopt;
    };
    if (word.size() == 3 && (word.substr(1) == "xx" || word.substr(1) == "XX") && word[0] >= '1' && word[0] <= '5') {
      const long first = (word[0] - '0') * 100L;
      out.ranges_.emplace_back(first, first + 99);
      continue;
    }
    const auto dash = word.find('-');
    const auto low = number(word.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : number(word.substr(dash + 1));
    if (!low || !high || *low > *high) return std::nullopt;
    out.ranges_.emplace_back(*low, *high);
  }
  return out.ranges_.empty() ? std::nullopt : std::optional{out};
}

bool StatusCodes::contains(long code) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const auto& range) { return code >= range.first && code <= range.second; });
}

std::string StatusCodes::text() const {
  std::string out;
  for (const auto& [low, high] : ranges_) {
    out += (out.empty() ? "" : ",") + (low == high ? std::to_string(low) : fmt::format("{}-{}", low, high));
  }
  return out;
}

Decision decide(const std::vector<bool>& history, int failures, int successes) {
  if (history.empty()) return Decision::more;
  int run = 0;
  for (auto it = history.rbegin(); it != history.rend() && *it == history.back(); ++it) ++run;
  if (history.back() && run >= successes) return Decision::well;
  if (!history.back() && run >= failures) return Decision::failing;
  return static_cast<int>(history.size()) >= 4 * (failures + successes) ? Decision::flapping : Decision::more;
}

Finding worse(Finding first, Finding second) {
  const bool takes_second = rank(second.status) > rank(first.status);
  auto& chosen = takes_second ? second : first;
  auto& other = takes_second ? first : second;
  chosen.metrics.insert(chosen.metrics.end(), other.metrics.begin(), other.metrics.end());
  return std::move(chosen);
}

Finding judge_certificate(const CertificateLimits& limits, const io::TlsFacts& facts, WallTime now) {
  Finding out;
  const io::Certificate* soonest = nullptr;
  for (const auto& certificate : facts.chain) {
    if (soonest == nullptr || certificate.not_after < soonest->not_after) soonest = &certificate;
  }
  if (soonest == nullptr) return out;
  const auto left = soonest->not_after - now;
  const auto warn = days(limits.warn), fail = days(limits.fail);
  out.metrics.push_back({"certificate", days(facts.chain.front().not_after - now), "d", warn, fail, std::nullopt, std::nullopt, true});
  out.metrics.push_back({"chain", days(left), "d", warn, fail, std::nullopt, std::nullopt, true});
  if (left >= limits.warn) return out;
  const bool leaf = soonest == &facts.chain.front();
  // Who asked for no verification is warned only.
  out.status = left < limits.fail && facts.verified ? Status::fail : Status::warn;
  out.stage = io::Stage::tls;
  const auto what = (leaf ? "the certificate \"" : "the certificate of the issuer \"") + soonest->subject + "\"";
  out.message = left.count() < 0 ? fmt::format("{} expired {}", what, format_age(-left))
                                 : fmt::format("{} expires in {}", what, format_duration(left));
  out.hint = leaf ? "renew it, then reload the server" : "renew the chain: get a certificate from the issuer's new intermediate";
  return out;
}

Finding judge_http(const HttpCheck& check, const io::HttpProbeResult& result, WallTime now) {
  if (!check.expect_status.contains(result.status)) {
    return found(Status::fail, io::Stage::status, fmt::format("HTTP {}, expected {}", result.status, check.expect_status.text()),
                 misses_certificate(result) ? "the server asks for a client certificate: --cert FILE --key FILE, in codops.yaml certificate and key"
                                            : status_hint(result.status));
  }
  if (check.expect_http2 && result.version != "2") {
    return found(Status::fail, io::Stage::status, "the answer is HTTP/" + result.version + ", not HTTP/2", "turn on http2 at the server");
  }
  for (const auto& wanted : check.expect_headers) {
    const bool has = std::any_of(result.headers.begin(), result.headers.end(), [&](const auto& header) {
      return header.first == wanted.name && header.second.find(wanted.contains) != std::string::npos;
    });
    if (has) continue;
    const auto* other = result.header(wanted.name);
    return found(Status::fail, io::Stage::status,
                 other == nullptr ? "the header \"" + wanted.name + "\" is missing"
                                  : fmt::format("the header \"{}\" does not contain \"{}\"", wanted.name, wanted.contains),
                 "");
  }
  auto out = judge_body(check, result);
  if (result.tls) out = worse(std::move(out), judge_certificate(check.certificate, *result.tls, now));
  return out;
}

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
  if (facts.lag) {
    const auto seconds = [](const std::optional<Milliseconds>& value) {
      return value ? std::optional{static_cast<double>(value->count()) / 1000.0} : std::nullopt;
    };
    Finding lag;
    const double value = static_cast<double>(facts.lag->count()) / 1000.0;
    lag.metrics.push_back({"lag", value, "s", seconds(check.warn_lag), seconds(check.fail_lag), 0, std::nullopt});
    lag.status = level(value, seconds(check.warn_lag), seconds(check.fail_lag));
    if (lag.status != Status::ok) {
      lag.stage = io::Stage::body;
      lag.message = "replication lags " + format_duration(*facts.lag) + " behind";
      lag.hint = "see pg_stat_replication on the primary";
    }
    out = worse(std::move(out), std::move(lag));
  } else if (facts.replica.value_or(false) && (check.warn_lag || check.fail_lag)) {
    out = worse(std::move(out), found(Status::unknown, io::Stage::body, "the replica has replayed nothing yet: its lag is not known",
                                      "see pg_stat_wal_receiver"));
  }
  return out;
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
    if (check.warn_memory) {
      out = worse(std::move(out), found(Status::warn, io::Stage::body, "Redis has no memory limit", "set maxmemory"));
    }
  }
  return out;
}

std::vector<const target::Container*> chosen_containers(const std::vector<target::Container>& all, const std::string& name) {
  std::vector<const target::Container*> out;
  for (const auto& container : all) {
    if (container.name == name || container.service == name) out.push_back(&container);
  }
  if (out.empty() && name.size() >= 12) {
    for (const auto& container : all) {
      if (container.id.starts_with(name)) out.push_back(&container);
    }
  }
  const auto release = [](const target::Container& container) {
    const auto found = container.labels.find("codops.release");
    return found == container.labels.end() ? std::string{} : found->second;
  };
  std::set<std::string> running;
  for (const auto* container : out) {
    if (container->state == target::RunState::running) running.insert(release(*container));
  }
  std::erase_if(out, [&](const auto* container) {
    const bool stopped = container->state == target::RunState::exited || container->state == target::RunState::created;
    return stopped && !running.empty() && !release(*container).empty() && !running.contains(release(*container));
  });
  return out;
}

Finding judge_container(const std::string& name, const target::Container* container) {
  if (container == nullptr) {
    return found(Status::fail, io::Stage::status, "there is no container \"" + name + "\"", "docker compose ps -a");
  }
  const auto logs = "docker logs --tail 20 " + container->name;
  switch (container->state) {
    case target::RunState::running: break;
    case target::RunState::restarting: return found(Status::fail, io::Stage::status, "the container restarts again and again", logs);
    case target::RunState::paused: return found(Status::fail, io::Stage::status, "the container is paused", "docker unpause " + container->name);
    case target::RunState::created: return found(Status::fail, io::Stage::status, "the container was never started", "docker start " + container->name);
    case target::RunState::exited:
    case target::RunState::dead: return found(Status::fail, io::Stage::status, "the container has stopped", logs);
  }
  switch (container->health) {
    case target::HealthState::unhealthy: return found(Status::fail, io::Stage::status, "its own health check fails", logs);
    case target::HealthState::starting: return found(Status::fail, io::Stage::status, "its own health check has not passed yet", "wait for it: --wait");
    default: return {};
  }
}

Finding judge_disk(const std::string& path, std::uint64_t total, std::uint64_t available, const DiskLimits& limits) {
  if (total == 0) return found(Status::unknown, io::Stage::body, "the file system of " + path + " tells no size", "");
  const double used = 100.0 * static_cast<double>(total - std::min(total, available)) / static_cast<double>(total);
  Finding out;
  out.metrics.push_back({"disk", used, "%", as_double(limits.warn_used), as_double(limits.fail_used), 0, 100});
  out.status = level(used, as_double(limits.warn_used), as_double(limits.fail_used));
  if (limits.fail_free && available < *limits.fail_free) out.status = Status::fail;
  if (limits.warn_free && available < *limits.warn_free && out.status == Status::ok) out.status = Status::warn;
  if (out.status == Status::ok) return out;
  out.stage = io::Stage::body;
  out.message = fmt::format("{} is {:.0f} % full: {} are left", path, used, format_bytes(available));
  out.hint = "docker system df shows what can go";
  return out;
}

Finding judge_workload(const WorkloadState& state) {
  if (!state.exists) return found(Status::fail, io::Stage::status, "there is no such workload", "kubectl get deployments,statefulsets,jobs");
  const auto ready = fmt::format("{} of {} replicas are ready", state.ready, state.wanted);
  const auto why = state.reason.empty() ? std::string{} : ": " + state.reason;
  Finding out;
  if (state.gave_up) {
    out = found(Status::fail, io::Stage::status, "its rollout gave up, " + ready + why, "kubectl describe shows the events");
  } else if (state.ready < state.wanted) {
    out = found(Status::fail, io::Stage::status, ready + why, "kubectl describe shows the events");
  } else if (state.updated < state.wanted) {
    out = found(Status::warn, io::Stage::status, fmt::format("{} of {} replicas are up to date", state.updated, state.wanted), "");
  }
  out.metrics.push_back({"ready", static_cast<double>(state.ready), "", std::nullopt, std::nullopt, 0, static_cast<double>(state.wanted)});
  return out;
}

void check_order(const std::vector<Check>& checks) {
  if (checks.empty()) {
    throw Failure{Exit::config, "there is nothing to check", "name one: codops health-check --url https://host/health"};
  }
  std::map<std::string, const Check*> by_name;
  std::vector<std::string> names;
  for (const auto& check : checks) {
    if (!by_name.emplace(check.name, &check).second) {
      throw Failure{Exit::config, "two checks are named \"" + check.name + "\"", "give each a name of its own"};
    }
    names.push_back(check.name);
  }
  std::map<std::string, int> state;  // 1: being visited, 2: done
  const std::function<void(const Check&)> visit = [&](const Check& check) {
    if (state[check.name] == 2) return;
    if (state[check.name] == 1) {
      throw Failure{Exit::config, "the check \"" + check.name + "\" waits for itself", "break the circle of \"needs\""};
    }
    state[check.name] = 1;
    for (const auto& parent : check.after) {
      const auto found_parent = by_name.find(parent);
      if (found_parent == by_name.end()) {
        const auto near = nearest(parent, names);
        throw Failure{Exit::config, "the check \"" + check.name + "\" waits for \"" + parent + "\", which does not exist",
                      near.empty() ? "" : "did you mean \"" + near + "\"?"};
      }
      visit(*found_parent->second);
    }
    state[check.name] = 2;
  };
  for (const auto& check : checks) visit(check);
}

}  // namespace codops::health

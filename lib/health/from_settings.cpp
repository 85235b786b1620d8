#include "lib/health/from_settings.hpp"

#include <charconv>
#include <set>

#include "lib/base/units.hpp"
#include "lib/health/postgres_target.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/settings/unset.hpp"

namespace codops::health {
namespace {

using settings::HealthCheck;

[[noreturn]] void refuse(const HealthCheck& described, const std::string& why, const std::string& hint) {
  throw Failure{Exit::config, "the check \"" + io::shown_word(described.name) + "\": " + why, hint};
}

// One of the two limits, in the sense that its text has.
struct Limit {
  std::optional<int> percent;
  std::optional<Milliseconds> time;
  std::optional<std::uint64_t> bytes;
};

Limit limit_of(const HealthCheck& described, std::string_view text) {
  if (text.empty()) return {};
  if (text.find_first_not_of("0123456789.") == std::string_view::npos) refuse(described, fmt::format("\"{}\" has no unit", io::shown_word(text)), "write 14d, 500ms, 80% or 2GB");
  if (text.back() == '%') {
    int value = 0;
    auto digits = text.substr(0, text.size() - 1);
    while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc{} && end == digits.data() + digits.size() && value >= 0 && value <= 100) return {value, {}, {}};
  }
  if (const auto time = parse_duration(text)) return {{}, std::chrono::duration_cast<Milliseconds>(*time), {}};
  if (const auto bytes = parse_bytes(text)) return {{}, {}, *bytes};
  refuse(described, fmt::format("\"{}\" is no limit", io::shown_word(text)), "write 14d, 500ms, 80% or 2GB");
}

io::Via via_of(const HealthCheck& described) {
  if (described.resolve.empty()) return {};
  if (described.resolve.starts_with('/')) return {{}, 0, described.resolve};
  const auto address = io::parse_host_port(described.resolve);
  if (!address) refuse(described, "\"" + io::shown_url(described.resolve) + "\" is no address to connect to", "write 10.0.0.7 or 10.0.0.7:8443");
  return {address->host, address->port, {}};
}

io::HostPort address_of(const HealthCheck& described, std::uint16_t port) {
  auto address = io::parse_host_port(described.target);
  if (!address || (address->port == 0 && port == 0)) {
    refuse(described, "\"" + io::shown_url(described.target) + "\" is no host:port", "write it as shop.example.com:443");
  }
  if (address->port == 0) address->port = port;
  return *address;
}

bool is_by_variable(const HealthCheck& described) {
  return (described.kind == "postgres" || described.kind == "redis") && described.target.find("://") == std::string::npos;
}

// A variable's name, or the URL itself.
std::string url_of(const HealthCheck& described, const Wiring& wiring) {
  if (!is_by_variable(described)) return described.target;
  const auto value = wiring.variable ? wiring.variable(described.target) : std::nullopt;
  if (!value || value->empty()) {
    refuse(described, "the variable \"" + io::shown_url(described.target) + "\" is not set", "set it in the environment's .env file");
  }
  return *value;
}

// No answer takes an hour: from there on what a certificate has left is meant.
bool is_latency(const Limit& limit) { return limit.time && *limit.time < std::chrono::hours{1}; }

void certificate_limits(CertificateLimits& limits, const Limit& warn, const Limit& fail) {
  using Hours = std::chrono::hours;
  if (warn.time && !is_latency(warn)) limits.warn = std::chrono::duration_cast<Hours>(*warn.time);
  if (fail.time && !is_latency(fail)) limits.fail = std::chrono::duration_cast<Hours>(*fail.time);
}

// A limit that a kind can't be measured by would be taken and never kept.
void refuse_meaningless(const HealthCheck& described, std::string_view text, const Limit& limit) {
  const auto& kind = described.kind;
  if (text.empty()) return;
  const auto no = [&](const std::string& hint) { refuse(described, fmt::format("\"{}\" is no limit of a {} check", io::shown_word(text), kind), hint); };
  if (kind == "container" || kind == "workload") no("leave warn and critical away: it is well or it is not");
  if (kind == "disk" && !limit.percent && !limit.bytes) no("write 80% (in use) or 2GB (free)");
  if ((kind == "postgres" || kind == "redis") && limit.bytes) no(kind == "redis" ? "write 80% (of its memory) or 500ms" : "write 80% (of its connections) or 30s (its replicas' lag)");
  if ((kind == "tcp" || kind == "redis" || kind == "command") && limit.time && !is_latency(limit)) no("write how long its answer may take: 500ms");
  if ((kind == "url" || kind == "tls") && !limit.time) no("write 500ms (its answer) or 14d (what its certificate has left)");
  // Where it leads may well have one.
  if (kind == "url" && limit.time && !is_latency(limit) && described.target.starts_with("http://") && !described.follow_redirects) no("http:// has no certificate; write how long its answer may take: 500ms");
  if ((kind == "tcp" || kind == "command") && !limit.time) no("write how long its answer may take: 500ms");
  if (kind == "backup_age" && !limit.time) no("write how old it may be: 26h");
}

io::Trust trust_of(const HealthCheck& described, const Wiring& wiring) {
  const auto passphrase = described.key.empty() || !wiring.variable ? std::nullopt : wiring.variable("CODOPS_KEY_PASSPHRASE");
  return {described.ca, described.certificate, described.key, false, Secret{passphrase.value_or("")}};
}

HttpCheck http_of(const HealthCheck& described, const Wiring& wiring, const Limit& warn, const Limit& fail) {
  HttpCheck what;
  what.request.url = io::with_lower_scheme(described.target);
  what.request.method = described.method;
  if (described.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_") != std::string::npos) refuse(described, "its method is none", "write GET or HEAD");
  for (const auto& [name, value] : described.headers) {
    if (const auto trouble = io::trouble_of_header(name, value); !trouble.empty()) refuse(described, trouble, "take it out, of the variable too: it would end the header, and begin another");
    what.request.headers.emplace_back(name, Secret{value});
  }
  what.request.via = via_of(described);
  what.request.server_name = described.server_name;
  what.request.trust = trust_of(described, wiring);
  what.request.redirects = described.follow_redirects ? io::HttpProbeRequest::Redirects::follow : io::HttpProbeRequest::Redirects::keep;
  std::string codes;
  for (const auto code : described.status) codes += (codes.empty() ? "" : ",") + std::to_string(code);
  if (!codes.empty()) {
    const auto parsed = StatusCodes::parse(codes);
    if (!parsed) refuse(described, "\"" + codes + "\" are no HTTP statuses", "write 200, 204");
    what.expect_status = *parsed;
  }
  if (!described.body.empty()) what.body_contains.push_back(described.body);
  for (const auto& [path, value] : described.json) what.expect_json.push_back({path, value});
  certificate_limits(what.certificate, warn, fail);
  return what;
}

Check unwired(const std::string& name, const std::string& kind, const std::string& target, const std::string& why, const std::string& hint = {}) {
  Check check;
  check.name = name;
  check.what = AskedCheck{kind, io::shown_word(target), [why, hint](const Limits&) -> Finding { return {Status::unknown, io::Stage::request, why, hint, {}}; }};
  return check;
}

Check of_kind(const HealthCheck& described, const Wiring& wiring, const Limit& warn, const Limit& fail) {
  Check check;
  const auto& kind = described.kind;
  if (kind == "url") {
    check.what = http_of(described, wiring, warn, fail);
  } else if (kind == "tcp") {
    const auto address = address_of(described, 0);
    check.what = TcpCheck{{address.host, address.port, via_of(described)}};
  } else if (kind == "tls") {
    const auto address = address_of(described, 443);
    TlsCheck what{{{address.host, address.port, via_of(described)}, described.server_name, trust_of(described, wiring)}, {}};
    certificate_limits(what.certificate, warn, fail);
    check.what = what;
  } else if (kind == "postgres") {
    auto target = postgres_target(url_of(described, wiring), described.target.find("://") == std::string::npos ? described.target : "its URL", &check);
    if (!target) return check;
    PostgresCheck what{*std::move(target), via_of(described), warn.time, fail.time, warn.percent, fail.percent};
    std::uint16_t port = 5432;
    std::from_chars(what.target.port.data(), what.target.port.data() + what.target.port.size(), port);
    if (wiring.reach && described.resolve.empty()) wiring.reach(what.target.host, port, what.via);
    check.what = std::move(what);
  } else if (kind == "redis") {
    RedisCheck what{io::parse_redis_url(url_of(described, wiring)), "", warn.percent, fail.percent};
    if (!described.resolve.empty()) what.target.tcp.via = via_of(described);
    else if (wiring.reach && what.target.tcp.via.unix_socket.empty()) wiring.reach(what.target.tcp.host, what.target.tcp.port, what.target.tcp.via);
    check.what = std::move(what);
  } else if (kind == "container") {
    if (!wiring.containers) return unwired(described.name, kind, described.target, "there is no engine to ask for containers");
    check = container_check(described.target, wiring.containers);
  } else if (kind == "workload") {
    if (!wiring.workload) return unwired(described.name, kind, described.target, wiring.no_workload.empty() ? "workloads are of Kubernetes; this environment has another engine" : wiring.no_workload);
    check = workload_check(described.target, wiring.workload(described.target));
  } else if (kind == "disk") {
    DiskLimits limits;
    if (warn.percent || warn.bytes) limits.warn_used = warn.percent;
    if (fail.percent || fail.bytes) limits.fail_used = fail.percent;
    limits.warn_free = warn.bytes;
    limits.fail_free = fail.bytes;
    check = disk_check(described.target, limits);
  } else if (kind == "backup_age") {
    const auto age = limit_of(described, described.target);
    if (!age.time) refuse(described, "\"" + io::shown_word(described.target) + "\" is no duration", "write 26h");
    if (!wiring.backup_age) return unwired(described.name, kind, described.target, "this environment has no backups to ask for");
    check = backup_check(described.name, wiring.backup_age, warn.time.value_or(*age.time), fail.time.value_or(*age.time));
  } else if (kind == "command") {
    check = command_check(described.name, described.command);
  } else {
    refuse(described, "it says not what is checked", "give it a url, tcp, tls, postgres, redis, container, workload, disk, backup_age or command");
  }
  return check;
}

// A variable that the check wants and nobody has set; empty: there is none.
std::string unset_in(const HealthCheck& described, const Wiring& wiring) {
  std::vector<std::string> texts{described.target, described.method, described.body, described.ca, described.certificate, described.key, described.server_name, described.resolve, described.warn, described.critical};
  texts.insert(texts.end(), described.command.begin(), described.command.end());
  for (const auto& [_, value] : described.headers) texts.push_back(value);
  for (const auto& [_, value] : described.json) texts.push_back(value);
  for (const auto& text : texts) {
    if (const auto at = text.find(settings::unset_mark); at != std::string::npos) return text.substr(at + 1);
  }
  if (is_by_variable(described) && wiring.variable && wiring.variable(described.target).value_or("").empty()) return io::shown_url(described.target);
  return {};
}

}  // namespace

Check check_from(const HealthCheck& described, const settings::Health& all, const Wiring& wiring) {
  const auto unset = unset_in(described, wiring);
  if (!unset.empty()) {
    auto check = unwired(described.name, described.kind, "", "the variable " + unset + " is not set", "set it in the environment's .env file");
    check.after = described.needs;
    return check;
  }
  const auto warn = limit_of(described, described.warn);
  const auto fail = limit_of(described, described.critical);
  refuse_meaningless(described, described.warn, warn);
  refuse_meaningless(described, described.critical, fail);
  via_of(described);
  Check check;
  try {
    check = of_kind(described, wiring, warn, fail);
  } catch (const Failure& failure) {
    // What a variable holds is no mistake of codops.yaml: the others are asked all the same.
    if (!is_by_variable(described)) throw;
    const auto name = io::shown_url(described.target);
    const bool named = failure.message().find(name) != std::string::npos;
    check = unwired(described.name, described.kind, "", (named ? "" : name + ": ") + failure.message(), failure.hint());
  }
  check.name = described.name;
  check.after = described.needs;
  check.timeout = described.timeout.value_or(all.timeout);
  if (check.timeout <= Milliseconds{0}) refuse(described, "its timeout is 0, and nothing answers in no time", "write timeout: 5s");
  check.failures = static_cast<int>(std::max(described.failure_threshold, described.retries + 1));
  check.successes = static_cast<int>(described.success_threshold);
  // A time of these two is a lag, an age. Whoever is not heard by then has failed.
  const bool by_latency = described.kind != "postgres" && described.kind != "backup_age";
  if (by_latency && is_latency(warn)) check.warn_after = warn.time;
  if (by_latency && is_latency(fail)) check.timeout = std::min(check.timeout, *fail.time);
  return check;
}

std::vector<Check> select(std::vector<Check> checks, const std::vector<std::string>& names) {
  if (names.empty()) return checks;
  std::map<std::string, const Check*> by_name;
  std::vector<std::string> known;
  for (const auto& check : checks) {
    by_name[check.name] = &check;
    known.push_back(check.name);
  }
  std::set<std::string> wanted;
  std::vector<std::string> open = names;
  while (!open.empty()) {
    const auto name = open.back();
    open.pop_back();
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      const auto near = nearest(name, known);
      throw Failure{Exit::usage, "there is no check \"" + io::shown_word(name) + "\"", near.empty() ? fmt::format("there are: {}", fmt::join(known, ", ")) : "did you mean \"" + near + "\"?"};
    }
    if (!wanted.insert(name).second) continue;
    open.insert(open.end(), found->second->after.begin(), found->second->after.end());
  }
  std::erase_if(checks, [&](const Check& check) { return !wanted.contains(check.name); });
  return checks;
}

}  // namespace codops::health

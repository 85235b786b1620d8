#include "lib/health/convention.hpp"

#include <set>

#include "lib/health/postgres_target.hpp"

namespace codops::health {
namespace {

// Well-known ports of services that speak no HTTP (IANA's registry, and the products' own defaults).
bool speaks_no_http(std::uint16_t port) {
  static const std::set<std::uint16_t> ports{22, 25, 53, 465, 587, 1883, 3306, 5432, 5671, 5672, 6379, 6380, 9092, 11211, 26379, 27017};
  return ports.contains(port);
}

bool speaks_tls(std::uint16_t port) { return port == 443 || port == 8443; }

std::string reachable(const ConventionFacts& facts, const ConventionFacts::Port& port) {
  const bool any = port.host_address.empty() || port.host_address == "0.0.0.0" || port.host_address == "::";
  return any ? facts.engine_address : port.host_address;
}

Check http_check(const ConventionFacts& facts, const ConventionFacts::Port& port, std::string name, const std::string& path) {
  HttpCheck what;
  const bool tls = speaks_tls(port.container);
  what.request.url = (tls ? "https://" : "http://") + to_string(io::HostPort{reachable(facts, port), port.published}) + path;
  // A port of plain HTTP often sends everyone to https under a name that leads elsewhere: that is an answer.
  what.request.redirects = io::HttpProbeRequest::Redirects::keep;
  what.expect_status = *StatusCodes::parse("200-399");
  if (tls) {
    what.request.server_name = facts.server_name;
    what.request.trust.ca_file = facts.front_door_ca;
  }
  Check check;
  check.name = std::move(name);
  check.what = std::move(what);
  return check;
}

void add_service(Convention& out, const ConventionFacts& facts, const ConventionFacts::Service& service) {
  std::set<std::uint16_t> seen;
  const auto web_ports = std::count_if(service.ports.begin(), service.ports.end(), [](const auto& port) {
    return port.protocol == "tcp" && !speaks_no_http(port.container);
  });
  for (const auto& port : service.ports) {
    if (port.protocol != "tcp" || port.published == 0 || !seen.insert(port.published).second) continue;
    const auto base = web_ports > 1 ? fmt::format("{}:{}", service.name, port.published) : service.name;
    if (speaks_no_http(port.container)) {
      Check check;
      check.name = fmt::format("{} port {}", service.name, port.published);
      check.what = TcpCheck{{reachable(facts, port), port.published, {}}};
      out.checks.push_back(std::move(check));
      continue;
    }
    std::vector<std::string> paths{"/health", "/ready", "/live"};
    if (!service.readiness_path.empty()) paths = {service.readiness_path};
    std::vector<std::string> names;
    for (const auto& path : paths) {
      names.push_back(base + " " + path);
      out.checks.push_back(http_check(facts, port, names.back(), path));
    }
    if (names.size() > 1) out.alternatives.push_back(std::move(names));
  }
}

// A service may well have the name that the check of a connection would get.
std::string free_name(const Convention& found, const std::string& name, const std::string& longer) {
  const bool taken = std::any_of(found.checks.begin(), found.checks.end(), [&](const Check& check) { return check.name == name; });
  return taken ? longer : name;
}

// A URL that can't be read is told by its own check.
template <typename Make>
Check readable_or_unknown(const char* kind, const char* target, const Make& make) {
  Check check;
  try {
    make(check);
  } catch (const Failure& failure) {
    check.what = AskedCheck{kind, target, [why = failure.message(), hint = failure.hint()](const Limits&) -> Finding { return {Status::unknown, io::Stage::none, why, hint, {}}; }};
  }
  return check;
}

}  // namespace

Convention conventional_checks(const ConventionFacts& facts) {
  Convention out;
  if (facts.containers) {
    for (const auto& service : facts.services) {
      auto check = container_check(service.name, facts.containers, service.one_shot);
      check.name = service.name;
      out.checks.push_back(std::move(check));
    }
  }
  for (const auto& service : facts.services) add_service(out, facts, service);
  if (!facts.front_door_url.empty()) {
    HttpCheck what;
    what.request.url = facts.front_door_url;
    what.request.trust.ca_file = facts.front_door_ca;
    Check check;
    check.name = "front door";
    check.what = std::move(what);
    out.checks.push_back(std::move(check));
  }
  if (facts.database_trouble || (!facts.database_url.empty() && !is_of_another_database(facts.database_url))) {
    auto check = readable_or_unknown("postgres", "PostgreSQL", [&](Check& into) {
      if (facts.database_trouble) throw *facts.database_trouble;
      if (auto target = postgres_target(facts.database_url, facts.database_name, &into)) into.what = PostgresCheck{*std::move(target), facts.database_via, {}, {}, 80, 95};
    });
    check.name = free_name(out, "database", "database SELECT 1");
    out.checks.push_back(std::move(check));
  }
  if (facts.redis_trouble || !facts.redis_url.empty()) {
    auto check = readable_or_unknown("redis", "Redis", [&](Check& into) {
      if (facts.redis_trouble) throw *facts.redis_trouble;
      // Without a limit there is nothing to be near of, and nobody has asked that it be looked at.
      RedisCheck what{io::parse_redis_url(facts.redis_url), "", {}, 95};
      what.measured = false;
      if (!facts.redis_via.host.empty() || !facts.redis_via.unix_socket.empty()) what.target.tcp.via = facts.redis_via;
      into.what = std::move(what);
    });
    check.name = free_name(out, "redis", "redis PING");
    out.checks.push_back(std::move(check));
  }
  return out;
}

Report keep_offered(Report report, const std::vector<std::vector<std::string>>& alternatives) {
  const auto find = [&](const std::string& name) {
    return std::find_if(report.outcomes.begin(), report.outcomes.end(), [&](const auto& outcome) { return outcome.name == name; });
  };
  for (const auto& names : alternatives) {
    std::vector<std::string> missing;
    for (const auto& name : names) {
      const auto found = find(name);
      if (found != report.outcomes.end() && found->status == Status::fail && found->http_status == 404) missing.push_back(name);
    }
    if (missing.size() == names.size()) {
      auto& kept = *find(names.front());
      kept.status = Status::warn;
      kept.message = "it answers, but offers none of /health, /ready and /live";
      kept.hint = "name its path in codops.yaml: readiness";
      missing.erase(missing.begin());
    }
    for (const auto& name : missing) report.outcomes.erase(find(name));
  }
  return report;
}

}  // namespace codops::health

#include "lib/settings/health.hpp"

#include <array>
#include <string_view>

#include "lib/settings/schema.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {
namespace {

constexpr std::array<std::string_view, 10> kinds{"url",       "tcp",      "tls",  "postgres",   "redis",
                                                 "container", "workload", "disk", "backup_age", "command"};

std::vector<std::int64_t> numbers(const std::vector<std::string>& words) {
  std::vector<std::int64_t> found;
  for (const auto& word : words) found.push_back(std::stoll(word));
  return found;
}

HealthCheck read_check(const std::string& name, const Values& values) {
  HealthCheck check;
  check.name = name;
  for (const auto kind : kinds) {
    if (values.has(kind)) check.kind = kind;
  }
  if (check.kind == "command") check.command = values.list("command");
  else if (!check.kind.empty()) check.target = values.text(check.kind);
  check.status = numbers(values.list("status"));
  check.headers = values.map("headers");
  check.method = values.optional_text("method").value_or("GET");
  check.body = values.text("body");
  check.json = values.map("json");
  check.ca = values.text("ca");
  check.certificate = values.text("certificate");
  check.key = values.text("key");
  check.server_name = values.text("server_name");
  check.resolve = values.text("resolve");
  check.follow_redirects = values.boolean("follow_redirects");
  check.timeout = values.optional_duration("timeout");
  check.retries = values.integer("retries");
  check.success_threshold = values.optional_integer("success_threshold").value_or(1);
  check.failure_threshold = values.optional_integer("failure_threshold").value_or(1);
  check.needs = values.list("needs");
  check.warn = values.text("warn");
  check.critical = values.text("critical");
  return check;
}

}  // namespace

std::vector<Key> health_keys() {
  return {
      {"health.deadline", Type::duration, "10s", "10s", "For the whole run; what is not answered by then has failed."},
      {"health.timeout", Type::duration, "5s", "5s", "For one check."},
      {"health.concurrency", Type::integer, "256", "256", "Checks at once."},
      {"health.convention", Type::boolean, "true", "true",
       "With no checks listed: /health, /ready and /live of the services, the database, Redis, the containers."},
      {"health.checks.*.url", Type::text, "", "https://shop.example.com/health", "An HTTP or HTTPS address. A check has exactly one of url, tcp, tls, postgres, redis, container, workload, disk, backup_age, command."},
      {"health.checks.*.tcp", Type::text, "", "shop.example.com:25", "host:port that accepts a connection."},
      {"health.checks.*.tls", Type::text, "", "shop.example.com:443", "host:port whose certificates are checked, the leaf and the chain."},
      {"health.checks.*.postgres", Type::text, "", "DATABASE_URL", "The variable with a connection URL."},
      {"health.checks.*.redis", Type::text, "", "REDIS_URL", "The variable with a connection URL."},
      {"health.checks.*.container", Type::text, "", "backend", "A service, whose containers must be running and healthy."},
      {"health.checks.*.workload", Type::text, "", "deployment/backend", "Kubernetes: a workload that must be available."},
      {"health.checks.*.disk", Type::text, "", "/var/lib/docker", "A directory whose file system must have room."},
      {"health.checks.*.backup_age", Type::text, "", "26h", "How old the last verified backup may be."},
      {"health.checks.*.command", Type::argv, "", "./scripts/check, orders", "A command: 0 passes, 1 warns, 2 fails."},
      {"health.checks.*.status", Type::integers, "", "200, 204", "HTTP: accepted status. Unset: 200 to 299."},
      {"health.checks.*.method", Type::text, "GET", "HEAD", "HTTP: the method."},
      {"health.checks.*.headers.*", Type::text, "", "application/json", "HTTP: headers to send."},
      {"health.checks.*.body", Type::text, "", "ready", "HTTP: text that the answer contains."},
      {"health.checks.*.json.*", Type::text, "", "pass", "HTTP: a JSON pointer and the value it must have."},
      {"health.checks.*.follow_redirects", Type::boolean, "false", "true", "HTTP: follows redirects, never from https to http."},
      {"health.checks.*.ca", Type::text, "", "certs/ca.pem", "TLS: the authority to trust. Unset: the system's."},
      {"health.checks.*.certificate", Type::text, "", "certs/client.pem", "TLS: the client's certificate."},
      {"health.checks.*.key", Type::text, "", "certs/client.key", "TLS: the client's key."},
      {"health.checks.*.server_name", Type::text, "", "shop.example.com", "TLS: the name to ask for. Unset: the host."},
      {"health.checks.*.resolve", Type::text, "", "10.0.0.7", "The address to connect to instead of what DNS says."},
      {"health.checks.*.timeout", Type::duration, "", "2s", "Unset: health.timeout."},
      {"health.checks.*.retries", Type::integer, "0", "2", "Further attempts, with a growing pause."},
      {"health.checks.*.success_threshold", Type::integer, "1", "2", "Passes in a row that make it pass."},
      {"health.checks.*.failure_threshold", Type::integer, "1", "3", "Failures in a row that make it fail."},
      {"health.checks.*.needs", Type::list, "", "dns", "Checks that must pass first; otherwise this one is skipped."},
      {"health.checks.*.warn", Type::text, "", "30d", "Warns beyond this: days left, lag, use, free space, latency."},
      {"health.checks.*.critical", Type::text, "", "7d", "Fails beyond this. What can't be measured is unknown."},
  };
}

Health read_health(const Values& values) {
  Health health;
  health.deadline = values.duration("deadline");
  health.timeout = values.duration("timeout");
  health.concurrency = static_cast<int>(values.integer("concurrency"));
  health.convention = values.boolean("convention");
  for (const auto& name : values.names("checks")) {
    health.checks.push_back(read_check(name, values.below("checks." + escape_name(name))));
  }
  return health;
}

}  // namespace codops::settings

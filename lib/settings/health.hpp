#pragma once
// `health:` in codops.yaml. Rows of the schema and the reader are in health.cpp.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::settings {

class Values;

// One of url, tcp, tls, postgres, redis, container, workload, disk, backup_age, command says what is checked;
// which one is set is in `kind`.
struct HealthCheck {
  std::string name;
  std::string kind;
  std::string target;  // the URL, "host:port", service, path
  std::vector<std::string> command;
  std::vector<std::int64_t> status;  // accepted HTTP status; empty: 200 to 299
  std::map<std::string, std::string> headers;
  std::string method{"GET"};
  std::string body;                         // text that the answer contains
  std::map<std::string, std::string> json;  // JSON pointer → expected value
  std::string ca, certificate, key, server_name, resolve;
  bool follow_redirects{};
  std::optional<Milliseconds> timeout;
  std::int64_t retries{};
  std::int64_t success_threshold{1}, failure_threshold{1};
  std::vector<std::string> needs;  // checks that must pass first
  std::string warn, critical;      // thresholds: "14d", "80%", "30s", "2GB"

  bool operator==(const HealthCheck&) const = default;
};

struct Health {
  Milliseconds deadline{std::chrono::seconds{10}};  // for the whole run
  Milliseconds timeout{std::chrono::seconds{5}};    // for one check
  int concurrency{256};
  bool convention{true};  // find checks by convention when none is listed
  std::vector<HealthCheck> checks;

  bool operator==(const Health&) const = default;
};

Health read_health(const Values& values);

}  // namespace codops::settings

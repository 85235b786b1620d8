#pragma once
// What is checked. A check is data; only run() acts on it.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/health/outcome.hpp"
#include "lib/io/http_probe.hpp"
#include "lib/io/postgres_probe.hpp"
#include "lib/io/redis_probe.hpp"
#include "lib/io/tls_probe.hpp"
#include "lib/target/containers.hpp"

namespace codops::health {

// Status codes as people write them: "200", "2xx", "200-299,301".
class StatusCodes {
 public:
  StatusCodes() = default;  // 200-299
  static std::optional<StatusCodes> parse(std::string_view text);
  bool contains(long code) const;
  std::string text() const;

 private:
  std::vector<std::pair<long, long>> ranges_{{200, 299}};
};

struct CertificateLimits {
  std::chrono::hours warn{14 * 24};  // fewer left: warn
  std::chrono::hours fail{0};        // fewer left: fail
};

struct HttpCheck {
  io::HttpProbeRequest request;
  StatusCodes expect_status;
  struct Header {
    std::string name;  // lower case
    std::string contains;
  };
  std::vector<Header> expect_headers;
  std::vector<std::string> body_contains;
  struct Json {
    std::string path;   // "$.checks.db", "/checks/db", "checks.db", "$.nodes[0].name"
    std::string equals; // text, or the JSON of a number, true, false, null
  };
  std::vector<Json> expect_json;
  bool expect_http2{false};
  bool read_status{true};  // a JSON body's "status" counts: pass/ok/up, warn, fail/error/down
  CertificateLimits certificate;
  std::vector<std::string> capture;  // headers (lower case) that the outcome keeps
};

struct TcpCheck {
  io::TcpTarget target;
};

struct TlsCheck {
  io::TlsTarget target;
  CertificateLimits certificate;
};

struct PostgresCheck {
  io::postgres::Target target;
  io::Via via;
  std::optional<Milliseconds> warn_lag, fail_lag;       // of a replica behind its primary, or of the slowest replica; what can't be seen is unknown
  std::optional<int> warn_connections, fail_connections;  // percent of max_connections
};

struct RedisCheck {
  io::RedisTarget target;
  std::string expect_role;                           // "master", "slave"; empty: any
  std::optional<int> warn_memory, fail_memory;       // percent of maxmemory
  bool measured{true};                               // a limit that can't be looked at is unknown; else it is let go
};

// What an answer amounts to.
struct Finding {
  Status status{Status::ok};
  io::Stage stage{io::Stage::none};
  std::string message, hint;
  std::vector<Metric> metrics;
};

// Anything that is asked on a thread beside the loop. `ask` honours its limits; it owns what it uses, because a run
// whose deadline has passed does not wait for it.
struct AskedCheck {
  std::string kind;    // "container", "disk", "backup", "workload"
  std::string target;  // as a report shows it
  std::function<Finding(const Limits&)> ask;
};

struct CommandCheck {
  std::vector<std::string> argv;
};

struct Check {
  std::string name;  // unique in a run
  std::variant<HttpCheck, TcpCheck, TlsCheck, PostgresCheck, RedisCheck, CommandCheck, AskedCheck> what;
  std::vector<std::string> after;  // names of checks that must be well first; else this one is skipped
  Milliseconds timeout{5000};      // of one attempt
  std::optional<Milliseconds> warn_after;  // an answer slower than this is a warning
  int failures{1};                 // so many in a row are a failure
  int successes{1};                // so many in a row are well
  Milliseconds pause{250};         // before the next attempt; doubled up to 16 times that while it fails
};

std::string kind_of(const Check& check);
// With every secret hidden.
std::string target_of(const Check& check);

// Containers' own state and health check: those of that name, service or id. The list comes from the engine, stopped
// ones included.
using ListContainers = std::function<std::vector<target::Container>(const Limits&)>;
// `one_shot`: one that ended with 0 is well.
Check container_check(std::string name, ListContainers list, bool one_shot = false);
struct DiskLimits {
  std::optional<int> warn_used{85}, fail_used{95};       // percent in use
  std::optional<std::uint64_t> warn_free, fail_free;     // bytes
};
Check disk_check(std::string path, DiskLimits limits = {});
// `age` of the newest verified backup; nullopt: there is none. Given as a function: health does not know backups.
using BackupAge = std::function<std::optional<Milliseconds>(const Limits&)>;
Check backup_check(std::string name, BackupAge age, Milliseconds warn_after, Milliseconds fail_after);
// Exit codes as monitoring plugins have them: 0 ok, 1 warning, 2 failure, 3 unknown; any other is a failure.
Check command_check(std::string name, std::vector<std::string> argv);
// A workload of a cluster; the engine says how many of its replicas are ready and whether its rollout gave up.
struct WorkloadState {
  int wanted{}, ready{}, updated{};
  bool exists{true};
  bool gave_up{false};  // a terminal condition: its deadline for progress was exceeded
  std::string reason;
};
using AskWorkload = std::function<WorkloadState(const Limits&)>;
Check workload_check(std::string name, AskWorkload ask);

}  // namespace codops::health

#pragma once
// Decisions that need no I/O: what an answer amounts to, and when several attempts are enough.
#include <optional>
#include <vector>

#include "lib/health/check.hpp"

namespace codops::health {

enum class Decision { more, well, failing, flapping };
// `history`: true is a success, oldest first. Flapping: neither came often enough in a row within 4 × (both) attempts.
Decision decide(const std::vector<bool>& history, int failures, int successes);

Finding judge_http(const HttpCheck& check, const io::HttpProbeResult& result, WallTime now);
Finding judge_certificate(const CertificateLimits& limits, const io::TlsFacts& facts, WallTime now);
Finding judge_postgres(const PostgresCheck& check, const io::PostgresFacts& facts);
Finding judge_redis(const RedisCheck& check, const io::RedisFacts& facts);
// Those of that name or service, or else of that id (12 characters or more). Sets of former releases that deploy keeps
// stopped for a rollback don't count beside one that runs.
std::vector<const target::Container*> chosen_containers(const std::vector<target::Container>& all, const std::string& name);
Finding judge_container(const std::string& name, const target::Container* container);
Finding judge_disk(const std::string& path, std::uint64_t total, std::uint64_t available, const DiskLimits& limits);
Finding judge_workload(const WorkloadState& state);

// The worse of two findings; equal ones: the first. Metrics of both.
Finding worse(Finding first, Finding second);

// A text with JSON in it: what `path` (see HttpCheck::Json) points to, as text; nullopt when there is no such thing.
// Throws Failure{data} when `body` is not JSON.
std::optional<std::string> json_at(std::string_view body, std::string_view path);
// The health of a JSON body: its "status" by the aliases of health+json (draft-inadarei-api-health-check-06, section 3.1,
// and what frameworks write), nullopt when it says nothing that is known. Throws Failure{data} for broken JSON.
std::optional<Status> json_status(std::string_view body);

// The order in which checks may start: throws Failure{config} for zero checks, a name twice, an unknown or circular
// `after`.
void check_order(const std::vector<Check>& checks);

}  // namespace codops::health

#pragma once
// `backup:` in codops.yaml. Rows of the schema and the reader are in backup.cpp.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::settings {

class Values;

struct Retention {
  std::optional<std::int64_t> count;  // keep the newest N
  std::int64_t days{7};
  std::int64_t keep_min{1};           // never fewer verified ones than this
  std::int64_t daily{}, weekly{}, monthly{}, yearly{};

  bool operator==(const Retention&) const = default;
};

// Only for a store that is an s3:// URL. Credentials are named by variable, never written here.
struct S3 {
  std::string endpoint;  // empty: AWS
  std::string region{"us-east-1"};
  bool path_style{};
  std::string access_key_variable{"AWS_ACCESS_KEY_ID"};
  std::string secret_key_variable{"AWS_SECRET_ACCESS_KEY"};
  std::string session_token_variable{"AWS_SESSION_TOKEN"};
  std::string ca;  // PEM file; empty: the system's
  std::optional<std::uint64_t> bandwidth;  // bytes per second
  std::optional<Milliseconds> object_lock; // retention that the store enforces

  bool operator==(const S3&) const = default;
};

struct Backup {
  bool before_deploy{};  // built in: true for "production"
  Milliseconds fresh_for{};
  std::string store{"/backups"};  // an absolute directory, or s3://bucket/prefix
  S3 s3;
  std::vector<std::string> formats{"custom"};  // custom, plain, directory
  int jobs{1};
  int compression{1};  // zstd level
  bool redis{};
  std::vector<std::string> volumes;  // volume names or absolute directories
  Retention retention;
  std::vector<std::string> recipients;  // age1…
  std::string identity_file;
  std::string signing_key;  // file of the Ed25519 key that signs manifests
  std::string signing_public_key;  // base64; empty: the signing key's own. For hosts that only restore
  std::string restore_application{"read_only"};  // leave, read_only, stop
  bool restore_migrate{true};
  bool restore_health{true};
  Milliseconds restore_health_timeout{60'000};
  Milliseconds rto{std::chrono::hours{1}};
  Milliseconds drill_every{std::chrono::hours{24 * 7}};
  std::string ping_url_variable;  // name of the variable with the dead-man URL: such a URL is a secret
  std::string metrics_file;

  bool operator==(const Backup&) const = default;
};

Backup read_backup(const Values& values);

}  // namespace codops::settings

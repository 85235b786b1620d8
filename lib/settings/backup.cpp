#include "lib/settings/backup.hpp"

#include "lib/settings/schema.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {

std::vector<Key> backup_keys() {
  return {
      {"backup.before_deploy", Type::boolean, "false", "true",
       "A verified backup before every deploy, which stops if that fails. Unset: true for production."},
      {"backup.fresh_for", Type::duration, "0s", "1h", "Skips the backup before a deploy if there is one younger than this."},
      {"backup.store", Type::text, "/backups", "s3://shop-backups/production", "An absolute directory, or s3://bucket/prefix."},
      {"backup.formats", Type::list, "custom", "custom, plain", "custom, plain, directory; several come from one snapshot."},
      {"backup.jobs", Type::integer, "1", "2", "Parallel workers on one snapshot."},
      {"backup.compression", Type::integer, "1", "3", "zstd's level, 1 to 19."},
      {"backup.redis", Type::boolean, "false", "true", "Takes Redis along, in the same backup."},
      {"backup.volumes", Type::list, "", "uploads", "Volumes of the project's containers, or absolute directories of this machine, in the same backup."},
      {"backup.retention.count", Type::integer, "", "14", "Keeps the newest so many. Unset: by days."},
      {"backup.retention.days", Type::integer, "7", "7", "Keeps what is younger."},
      {"backup.retention.keep_min", Type::integer, "1", "3", "Never fewer verified backups than this, however old."},
      {"backup.retention.daily", Type::integer, "0", "7", "Keeps one a day for so many days."},
      {"backup.retention.weekly", Type::integer, "0", "4", "Keeps one a week for so many weeks."},
      {"backup.retention.monthly", Type::integer, "0", "6", "Keeps one a month for so many months."},
      {"backup.retention.yearly", Type::integer, "0", "2", "Keeps one a year for so many years."},
      {"backup.recipients", Type::list, "", "age1examplerecipient",
       "age recipients: the backup is encrypted to them. Unset: with CODOPS_BACKUP_PASSPHRASE of the environment, else not at all."},
      {"backup.identity_file", Type::text, "", "/etc/codops/age.key", "The age identity, for drills and restores. CODOPS_BACKUP_IDENTITY in the environment goes before it. `age -p` may protect either: CODOPS_BACKUP_PASSPHRASE opens it."},
      {"backup.signing_key", Type::text, "", "/etc/codops/sign.key", "The Ed25519 key that signs manifests."},
      {"backup.signing_public_key", Type::text, "", "9mTsMGPh…=", "Whose signature counts, for a host that has no signing key (keygen prints it). Unset: the signing key's."},
      {"backup.restore.application", Type::choice, "read_only", "stop",
       "While a restore fills the new database: leave (it goes on writing into the old one), read_only (the database refuses writes), stop (its containers).",
       {"leave", "read_only", "stop"}},
      {"backup.restore.migrate", Type::boolean, "true", "false", "Applies to the restored database what the live one already had applied."},
      {"backup.restore.health", Type::boolean, "true", "false", "Asks the checks of health-check after a restore."},
      {"backup.restore.health_timeout", Type::duration, "60s", "60s", "How long all may take to be well."},
      {"backup.rto", Type::duration, "1h", "1h", "How long a restore may take: drills are measured against it."},
      {"backup.drill_every", Type::duration, "7d", "7d", "status warns when the last drill is older."},
      {"backup.ping_url_variable", Type::text, "", "BACKUP_PING_URL",
       "The variable with a dead-man URL that is told of start, verified success and failure."},
      {"backup.metrics_file", Type::text, "", "/var/lib/node_exporter/textfile/codops.prom",
       "Metrics for node-exporter's textfile collector."},
      {"backup.s3.endpoint", Type::text, "", "https://s3.example.com", "Unset: AWS."},
      {"backup.s3.region", Type::text, "us-east-1", "eu-central-1", "The region that requests are signed for."},
      {"backup.s3.path_style", Type::boolean, "false", "true", "The bucket in the path, as most servers other than AWS want it."},
      {"backup.s3.access_key_variable", Type::text, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID", "The variable with the key's id."},
      {"backup.s3.secret_key_variable", Type::text, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "The variable with the key."},
      {"backup.s3.session_token_variable", Type::text, "AWS_SESSION_TOKEN", "AWS_SESSION_TOKEN", "The variable with the token, if any."},
      {"backup.s3.ca", Type::text, "", "certs/s3-ca.pem", "The authority to trust. Unset: the system's."},
      {"backup.s3.bandwidth", Type::bytes, "", "20M", "Bytes a second at most. Unset: no limit."},
      {"backup.s3.object_lock", Type::duration, "", "7d", "Asks the store to refuse deletion for so long."},
  };
}

Backup read_backup(const Values& values) {
  Backup backup;
  backup.before_deploy = values.boolean("before_deploy");
  backup.fresh_for = values.duration("fresh_for");
  backup.store = values.text("store");
  backup.formats = values.list("formats");
  backup.jobs = static_cast<int>(values.integer("jobs"));
  backup.compression = static_cast<int>(values.integer("compression"));
  backup.redis = values.boolean("redis");
  backup.volumes = values.list("volumes");
  backup.recipients = values.list("recipients");
  backup.identity_file = values.text("identity_file");
  backup.signing_key = values.text("signing_key");
  backup.signing_public_key = values.text("signing_public_key");
  backup.restore_application = values.text("restore.application");
  backup.restore_migrate = values.boolean("restore.migrate");
  backup.restore_health = values.boolean("restore.health");
  backup.restore_health_timeout = values.duration("restore.health_timeout");
  backup.rto = values.duration("rto");
  backup.drill_every = values.duration("drill_every");
  backup.ping_url_variable = values.text("ping_url_variable");
  backup.metrics_file = values.text("metrics_file");

  backup.retention.count = values.optional_integer("retention.count");
  backup.retention.days = values.integer("retention.days");
  backup.retention.keep_min = values.integer("retention.keep_min");
  backup.retention.daily = values.integer("retention.daily");
  backup.retention.weekly = values.integer("retention.weekly");
  backup.retention.monthly = values.integer("retention.monthly");
  backup.retention.yearly = values.integer("retention.yearly");

  backup.s3.endpoint = values.text("s3.endpoint");
  backup.s3.region = values.text("s3.region");
  backup.s3.path_style = values.boolean("s3.path_style");
  backup.s3.access_key_variable = values.text("s3.access_key_variable");
  backup.s3.secret_key_variable = values.text("s3.secret_key_variable");
  backup.s3.session_token_variable = values.text("s3.session_token_variable");
  backup.s3.ca = values.text("s3.ca");
  backup.s3.bandwidth = values.optional_bytes("s3.bandwidth");
  backup.s3.object_lock = values.optional_duration("s3.object_lock");
  return backup;
}

}  // namespace codops::settings

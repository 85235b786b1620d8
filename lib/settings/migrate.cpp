#include "lib/settings/migrate.hpp"

#include "lib/settings/schema.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {

std::vector<Key> migrate_keys() {
  return {
      {"migrate.enabled", Type::boolean, "true", "true", "false: deploy leaves migrations alone."},
      {"migrate.source", Type::choice, "auto", "prisma", "Whose files and history table they are. auto: by their shape.",
       {"auto", "prisma", "dbmate", "golang-migrate", "flyway"}},
      {"migrate.path", Type::text, "", "backend/prisma/migrations", "In the checkout; deploy then takes them from there. Unset: prisma/migrations and the like; deploy: the image."},
      {"migrate.service", Type::text, "", "backend",
       "The service whose new image has the files and whose URL counts. Unset: the first that has the URL."},
      {"migrate.image_path", Type::text, "", "/app/prisma/migrations", "The folder in that image. Unset: found by shape."},
      {"migrate.schema", Type::text, "", "public", "Unset: ?schema= of the URL, else public."},
      {"migrate.lock_timeout", Type::duration, "3s", "3s", "How long a statement may wait for a table's lock; then it is tried again."},
      {"migrate.statement_timeout", Type::duration, "0s", "15m", "How long a statement may run; 0s: no limit."},
      {"migrate.lock_wait", Type::duration, "60s", "60s", "How long to wait for another run of migrations."},
      {"migrate.strict", Type::boolean, "false", "true", "Findings of migrate lint stop a deploy."},
  };
}

Migrate read_migrate(const Values& values) {
  Migrate migrate;
  migrate.enabled = values.boolean("enabled");
  migrate.source = values.text("source");
  migrate.path = values.text("path");
  migrate.service = values.text("service");
  migrate.image_path = values.text("image_path");
  migrate.schema = values.text("schema");
  migrate.lock_timeout = values.duration("lock_timeout");
  migrate.statement_timeout = values.duration("statement_timeout");
  migrate.lock_wait = values.duration("lock_wait");
  migrate.strict = values.boolean("strict");
  return migrate;
}

}  // namespace codops::settings

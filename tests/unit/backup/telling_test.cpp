// What whoever watches backups is told, and how settings of a database are written again.
#include <doctest/doctest.h>

#include "lib/backup/database_properties.hpp"
#include "lib/backup/manifest.hpp"
#include "lib/backup/metrics.hpp"
#include "lib/backup/ping.hpp"
#include "lib/backup/swap.hpp"

using namespace codops;
using namespace codops::backup;

TEST_CASE("ping: the suffix belongs to the path, whatever follows it") {
  CHECK(ping_target("/uu", "/fail") == "/uu/fail");
  CHECK(ping_target("/uu/", "/fail") == "/uu/fail");
  CHECK(ping_target("/uu?create=1", "/fail") == "/uu/fail?create=1");
  CHECK(ping_target("/uu/?create=1&a=/", "/start") == "/uu/start?create=1&a=/");
  CHECK(ping_target("/uu?create=1", "") == "/uu?create=1");
  CHECK(ping_target("?create=1", "/fail") == "/fail?create=1");
  CHECK(ping_target("?create=1", "") == "/?create=1");
  CHECK(ping_target("/uu#top", "/fail") == "/uu/fail");
  CHECK(ping_target("", "") == "/");
}

TEST_CASE("metrics: what was written is read again") {
  Metrics metrics;
  metrics.environment = "a \"b\"";
  metrics.last_attempt = WallTime{Milliseconds{1'800'000'000'123}};
  CHECK_FALSE(from_exposition(to_exposition(metrics), metrics.environment).last_success);
  metrics.last_success = WallTime{Milliseconds{1'700'000'000'456}};
  metrics.size = 123'456'789'012;
  metrics.duration = Milliseconds{4321};
  metrics.restore_verified = WallTime{Milliseconds{1'600'000'000'001}};
  const auto again = from_exposition(to_exposition(metrics), metrics.environment);
  CHECK(again.last_success == metrics.last_success);
  CHECK(again.size == metrics.size);
  CHECK(again.duration == metrics.duration);
  CHECK(again.restore_verified == metrics.restore_verified);
  CHECK_FALSE(from_exposition(to_exposition(metrics), "other").last_success);
  CHECK_FALSE(from_exposition("\ncodops_backup_last_success_timestamp_seconds{environment=\"a\"} nan\n", "a").last_success);
}

TEST_CASE("settings that are lists are written name by name") {
  CHECK(list_setting("") == "''");
  CHECK(list_setting("\"\"") == "''");
  CHECK(list_setting("public") == "'public'");
  CHECK(list_setting("\"$user\", public") == "'$user', 'public'");
  CHECK(list_setting("\"odd, \"\"x\"\" schema\",  public ,b") == "'odd, \"x\" schema', 'public', 'b'");
  CHECK(list_setting("\"it's\"") == "'it''s'");
}

TEST_CASE("a safety backup says so in its manifest; an earlier codops said it with the label") {
  Manifest manifest;
  manifest.label = "20261123-101500F";
  manifest.tag = "before restore of my own";
  CHECK_FALSE(parse_manifest(to_json(manifest)).safety);
  manifest.safety = true;
  CHECK(parse_manifest(to_json(manifest)).safety);
  CHECK(parse_manifest(R"({"codops_backup":1,"label":"l","started":"2026-11-23T10:15:00Z","finished":"2026-11-23T10:15:00Z","parts":[],"tables":[],"tag":"before restore of x"})").safety);
}

#include "lib/backup/half_restored.hpp"

#include <fmt/format.h>

#include "lib/backup/swap.hpp"

#include <nlohmann/json.hpp>

namespace codops::backup {
namespace {

constexpr std::string_view half_prefix = "codops half restored: ";

}  // namespace

std::string HalfRestored::text(const std::string& live) const {
  if (undo) return fmt::format("an undo of the restore of {} has put back some of \"{}\", Redis and files, and not all: what is live does not belong together", stamp_text(stamp), live);
  return fmt::format("a restore of {} has put the database \"{}\" in place and not all of Redis and files that go with it: what is live does not belong together", source, live);
}

std::string HalfRestored::remedy(const std::string& environment) const {
  if (undo) return fmt::format("unless it is still running: codops restore {} --undo brings it to its end", environment);
  return fmt::format("unless it is still running: codops restore {0} --undo puts back what was; or again: codops restore {0} {1} --no-safety-backup", environment, source);
}

std::string to_comment(const HalfRestored& half) {
  return std::string{half_prefix} + nlohmann::json{{"source", half.source}, {"comment", half.comment}, {"stamp", half.stamp}, {"undo", half.undo}}.dump();
}

std::optional<HalfRestored> parse_half_restored(const std::string& comment) try {
  if (!comment.starts_with(half_prefix)) return std::nullopt;
  const auto json = nlohmann::json::parse(comment.substr(half_prefix.size()), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  HalfRestored half{json.value("source", ""), json.value("comment", ""), json.value("stamp", ""), json.value("undo", false)};
  if (!is_stamp(half.stamp)) half.stamp.clear(), half.undo = false;
  return half;
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}

std::optional<HalfRestored> half_restored(io::postgres::Connection& server, const std::string& live, const Limits& limits) {
  const auto row = server.query("SELECT COALESCE(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = $1", {live}, limits);
  return row.empty() ? std::nullopt : parse_half_restored(std::string{row.text(0, 0)});
}

void set_comment(io::postgres::Connection& server, const std::string& database, const std::string& comment, const Limits& limits) {
  server.run(fmt::format("COMMENT ON DATABASE {} IS {}", io::postgres::quote_identifier(database), comment.empty() ? std::string{"NULL"} : io::postgres::quote_literal(comment)), limits);
}

}  // namespace codops::backup

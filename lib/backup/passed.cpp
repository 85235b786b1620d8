#include "lib/backup/passed.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/backup/swap.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view passed_prefix = "codops put aside: ";

std::string comment_statement(const std::string& database, const std::string& comment) {
  return fmt::format(" COMMENT ON DATABASE {} IS {};", io::postgres::quote_identifier(database), comment.empty() ? std::string{"NULL"} : io::postgres::quote_literal(comment));
}

}  // namespace

std::string to_comment(const Passed& passed) {
  return std::string{passed_prefix} + nlohmann::json{{"passed_by", passed.by}, {"undo", passed.undo}, {"database", passed.database}, {"comment", passed.comment}}.dump();
}

std::optional<Passed> parse_passed(const std::string& comment) try {
  if (!comment.starts_with(passed_prefix)) return std::nullopt;
  const auto json = nlohmann::json::parse(comment.substr(passed_prefix.size()), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  Passed passed{json.value("passed_by", ""), json.value("undo", false), json.value("database", false), json.value("comment", "")};
  return is_stamp(passed.by) ? std::optional{passed} : std::nullopt;
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}

Passing pass_by(io::postgres::Connection& server, const std::string& live, const Passed& by, const std::string& but, const Limits& limits) {
  Passing passing;
  for (const auto& name : all_put_aside(server, live, database_before, limits)) {
    if (name == but) continue;
    if (server.query("SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND pg_catalog.pg_has_role(datdba, 'USAGE')", {name}, limits).empty()) continue;
    auto passed = by;
    passed.comment = comment_of(server, name, limits);
    passing.sql += comment_statement(name, to_comment(passed));
    passing.back += comment_statement(name, whole_comment_of(server, name, limits));
  }
  return passing;
}

}  // namespace codops::backup

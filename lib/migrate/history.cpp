#include "lib/migrate/history.hpp"

#include <fmt/format.h>

#include <charconv>

#include "lib/io/crypto.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

// RFC 9562, version 4.
std::string uuid() {
  auto bytes = io::random_bytes(16);
  bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3F) | 0x80);
  const auto hex = io::to_hex(bytes);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" + hex.substr(20);
}

constexpr std::string_view marker = "codops: statement by statement, ";
constexpr std::string_view marker_back = "codops: taken back statement by statement, ";

template <typename T>
bool take_number(std::string_view& text, std::string_view before, T& into) {
  if (!text.starts_with(before)) return false;
  text.remove_prefix(before.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

Attempt new_attempt(std::string started_at) { return {uuid(), std::move(started_at), {}}; }

std::string to_text(const Progress& progress) {
  auto text = fmt::format("{}{} of {} done{}, {}", progress.taking_back ? marker_back : marker, progress.done, progress.total, progress.started ? ", next begun" : "", progress.digest);
  if (!progress.notes.empty()) text += " " + progress.notes;
  if (!progress.error.empty()) text += "\n" + progress.error;
  return text;
}

std::optional<Progress> progress_from(std::string_view text) {
  Progress progress;
  progress.taking_back = text.starts_with(marker_back);
  if (!take_number(text, progress.taking_back ? marker_back : marker, progress.done) || !take_number(text, " of ", progress.total)) return std::nullopt;
  if (!text.starts_with(" done")) return std::nullopt;
  text.remove_prefix(5);
  constexpr std::string_view begun = ", next begun";
  progress.started = text.starts_with(begun);
  if (progress.started) text.remove_prefix(begun.size());
  if (!text.starts_with(", ")) return std::nullopt;
  text.remove_prefix(2);
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  const auto space = std::min(line.find(' '), line.size());
  progress.digest = line.substr(0, space);
  progress.notes = line.substr(std::min(space + 1, line.size()));
  progress.error = text.substr(std::min(end + 1, text.size()));
  return progress;
}

History::History(std::string schema, std::string_view table)
    : schema_{std::move(schema)}, table_{pg::quote_identifier(schema_) + "." + pg::quote_identifier(table)} {}

bool History::present(pg::Connection& connection, const Limits& limits) const {
  return connection.query("SELECT to_regclass($1) IS NOT NULL", {table_}, limits).boolean(0, 0);
}

std::string History::create(pg::Connection& connection, const Limits& limits) const {
  const auto schema = pg::quote_identifier(schema_);
  const bool there = connection.query("SELECT to_regnamespace($1) IS NOT NULL", {schema}, limits).boolean(0, 0);
  return (there ? "" : "CREATE SCHEMA IF NOT EXISTS " + schema + ";\n") + create_table();
}

std::unique_ptr<History> history_for(Layout layout, pg::Connection& connection, const Limits& limits) {
  const auto& target = connection.target();
  auto schema = target.schema;
  if (schema.empty() && layout != Layout::prisma) {
    schema = connection.query("SELECT coalesce(current_schema(), 'public')", limits).text(0, 0);
  }
  if (schema.empty()) schema = "public";
  switch (layout) {
    case Layout::prisma: return prisma_history(schema);
    case Layout::dbmate: return dbmate_history(schema);
    case Layout::golang_migrate: {
      if (target.history_table.empty()) return golang_migrate_history(schema);
      return golang_migrate_history(target.history_schema.empty() ? schema : target.history_schema, target.history_table);
    }
    case Layout::flyway: return flyway_history(schema);
  }
  throw Failure{Exit::bug, "a layout without a history"};
}

}  // namespace codops::migrate

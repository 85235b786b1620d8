#include "lib/backup/table_key.hpp"

#include <fmt/format.h>

#include "lib/io/postgres.hpp"

namespace codops::backup {

std::string table_key(std::string_view schema, std::string_view name) {
  const bool clear = schema.find('.') == std::string_view::npos && name.find('.') == std::string_view::npos;
  if (clear) return fmt::format("{}.{}", schema, name);
  return io::postgres::quote_identifier(schema) + "." + io::postgres::quote_identifier(name);
}

std::string table_key_sql(std::string_view schema, std::string_view name) {
  const auto quoted = [](std::string_view column) { return fmt::format(R"('"' || pg_catalog.replace({}, '"', '""') || '"')", column); };
  return fmt::format("CASE WHEN pg_catalog.strpos({0} || {1}, '.') = 0 THEN {0} || '.' || {1} ELSE {2} || '.' || {3} END", schema, name, quoted(schema), quoted(name));
}

std::string plain_name(std::string_view key) {
  // A name of its own with quotes and no other dot than the one between: `"a"."b"` stands for itself.
  const auto between = key.find("\".\"");
  const bool quoted = key.size() > 4 && key.front() == '"' && key.back() == '"' && between != std::string_view::npos &&
                      key.find('.') != key.rfind('.');
  if (!quoted) return std::string{key};
  std::string name;
  bool inside = false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] != '"') {
      name += key[i];
    } else if (inside && i + 1 < key.size() && key[i + 1] == '"') {
      name += key[i++];
    } else {
      inside = !inside;
    }
  }
  return name;
}

}  // namespace codops::backup

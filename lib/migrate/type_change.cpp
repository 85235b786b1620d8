// Which type changes leave the rows as they are: PostgreSQL's ALTER TABLE page, and the server's varchar_support, varbit_support,
// numeric_support, TemporalSimplify. What isn't known here counts as a rewrite.
#include <algorithm>
#include <charconv>

#include "lib/migrate/analysis.hpp"

namespace codops::migrate {

namespace {

struct Type {
  std::string base;  // "character varying", "timestamp without time zone", with "[]" for an array
  std::vector<int> modifiers;
  bool array{false};
  bool operator==(const Type&) const = default;
};

std::string canonical_base(std::string_view base) {
  static const std::map<std::string, std::string, std::less<>> names{
      {"int", "integer"}, {"int4", "integer"}, {"int8", "bigint"}, {"int2", "smallint"}, {"bool", "boolean"}, {"float", "double precision"},
      {"float8", "double precision"}, {"float4", "real"}, {"varchar", "character varying"}, {"char varying", "character varying"},
      {"char", "character"}, {"nchar", "character"}, {"varbit", "bit varying"}, {"timestamptz", "timestamp with time zone"},
      {"timestamp", "timestamp without time zone"}, {"timetz", "time with time zone"}, {"time", "time without time zone"},
      {"decimal", "numeric"}, {"dec", "numeric"}};
  if (base.starts_with("pg_catalog.")) base.remove_prefix(11);
  const auto found = names.find(base);
  return found == names.end() ? std::string{base} : found->second;
}

Type read_type(std::string_view text) {
  Type type;
  std::string base{text};
  if (const auto bracket = base.find('['); bracket != std::string::npos) {
    type.array = true;
    base.resize(bracket);
  }
  const auto open = base.find('(');
  const auto close = open == std::string::npos ? open : base.find(')', open);
  if (close != std::string::npos) {
    for (auto at = open + 1; at < close; at = std::min(base.find(',', at), close) + 1) {
      at = std::min(base.find_first_not_of(' ', at), close);
      int value = 0;
      std::from_chars(base.data() + at, base.data() + close, value);
      type.modifiers.push_back(value);
    }
    base.erase(open, close - open + 1);
  }
  type.base = canonical_base(base);
  if (type.modifiers.empty() && (type.base == "character" || type.base == "bit")) type.modifiers = {1};
  if (type.base == "numeric" && type.modifiers.size() == 1) type.modifiers.push_back(0);
  return type;
}

bool only_widens(const Type& from, const Type& to) {
  const bool temporal = to.base == "interval" || to.base.starts_with("time");
  if (to.base != "character varying" && to.base != "bit varying" && to.base != "numeric" && !temporal) return false;
  if (to.modifiers.empty()) return true;
  if (temporal && to.modifiers[0] >= 6) return true;
  if (from.modifiers.size() != to.modifiers.size()) return false;
  if (to.base == "numeric" && to.modifiers[1] != from.modifiers[1]) return false;
  return to.modifiers[0] >= from.modifiers[0];
}

}  // namespace

bool type_change_rewrites(std::string_view from, std::string_view to) {
  const auto old_type = read_type(from);
  const auto new_type = read_type(to);
  if (old_type == new_type) return false;
  if (old_type.array || new_type.array) return true;
  if (old_type.base == new_type.base) return !only_widens(old_type, new_type);
  if (old_type.base == "character varying" && new_type.base == "text") return false;
  if (old_type.base == "text" && new_type.base == "character varying" && new_type.modifiers.empty()) return false;
  return !(old_type.base == "cidr" && new_type.base == "inet");
}

}  // namespace codops::migrate

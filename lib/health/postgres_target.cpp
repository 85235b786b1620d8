#include "lib/health/postgres_target.hpp"

namespace codops::health {

std::optional<io::postgres::Target> postgres_target(std::string_view text, std::string_view name, Check* instead) {
  try {
    return io::postgres::parse_target(text, name);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::unavailable) throw;
    // Nothing of the text is shown: where its password stands is what only libpq knows.
    if (instead != nullptr) {
      instead->what = AskedCheck{"postgres", "PostgreSQL", [why = failure.message(), hint = failure.hint()](const Limits&) -> Finding {
        return {Status::unknown, io::Stage::none, why, hint, {}};
      }};
    }
    return std::nullopt;
  }
}

bool is_of_another_database(std::string_view url) {
  const auto scheme = url.substr(0, std::min(url.find(':'), url.size()));
  const bool written = scheme.size() < url.size() && !scheme.empty() && scheme.find_first_of(" =/@") == std::string_view::npos;
  if (!written || scheme.substr(0, scheme.find('+')) == "postgres" || scheme.substr(0, scheme.find('+')) == "postgresql") return false;
  if (scheme == "jdbc") return !url.starts_with("jdbc:postgresql:");
  return scheme == "file" || scheme == "sqlite" || url.substr(scheme.size()).starts_with("://");
}

}  // namespace codops::health

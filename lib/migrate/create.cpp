#include "lib/migrate/create.hpp"

#include <fmt/format.h>

#include <charconv>

#include "lib/base/failure.hpp"

namespace codops::migrate {

namespace {

std::string slug(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) result += c;
    else if (c >= 'A' && c <= 'Z') result += static_cast<char>(c + 32);
    else if (!result.empty() && result.back() != '_') result += '_';
  }
  while (!result.empty() && result.back() == '_') result.pop_back();
  if (result.empty()) throw Failure{Exit::usage, fmt::format("\"{}\" has no letters to name a migration by", name)};
  // A folder's name has 255 bytes, and so has Prisma's column.
  constexpr std::size_t longest = 200;
  if (result.size() > longest) throw Failure{Exit::usage, fmt::format("the name has {} letters; {} is the most", result.size(), longest), "say in short what it does; the rest is a comment in the file"};
  return result;
}

// golang-migrate's sequences keep their width: 000012 → 000013. Time stamps stay time stamps.
std::string next_version(const Source& existing, const std::string& stamp) {
  if (existing.migrations.empty()) return stamp;
  const auto& last = existing.migrations.back();
  const auto digits = last.path.find_first_not_of("0123456789");
  const auto width = digits == std::string::npos ? last.key.size() : digits;
  if (last.key.size() >= 14) return stamp;
  std::uint64_t number = 0;
  std::from_chars(last.key.data(), last.key.data() + last.key.size(), number);
  return fmt::format("{:0{}}", number + 1, width);
}

}  // namespace

std::vector<File> new_migration(Layout layout, const Source& existing, std::string_view name, WallTime now) {
  std::string stamp;
  for (const char c : to_rfc3339(now)) {
    if (c >= '0' && c <= '9' && stamp.size() < 14) stamp += c;
  }
  const auto words = slug(name);
  switch (layout) {
    case Layout::prisma: {
      const auto folder = stamp + "_" + words;
      return {{folder + "/migration.sql", "-- " + folder + "\n"}};
    }
    case Layout::dbmate: return {{stamp + "_" + words + ".sql", "-- migrate:up\n\n\n-- migrate:down\n\n"}};
    case Layout::golang_migrate: {
      const auto stem = next_version(existing, stamp) + "_" + words;
      return {{stem + ".up.sql", ""}, {stem + ".down.sql", ""}};
    }
    case Layout::flyway: {
      std::string version = stamp;
      for (auto last = existing.migrations.rbegin(); last != existing.migrations.rend(); ++last) {
        if (last->repeatable) continue;
        if (last->key.size() < 14) {
          std::uint64_t number = 0;
          std::from_chars(last->key.data(), last->key.data() + last->key.size(), number);
          version = std::to_string(number + 1);
        }
        break;
      }
      return {{"V" + version + "__" + words + ".sql", ""}};
    }
  }
  return {};
}

}  // namespace codops::migrate

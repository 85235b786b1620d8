#include "lib/migrate/source_layouts.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "lib/base/failure.hpp"
#include "lib/migrate/lexer.hpp"

namespace codops::migrate {

namespace {

std::size_t leading_digits(std::string_view text) {
  const auto end = text.find_first_not_of("0123456789");
  return end == std::string_view::npos ? text.size() : end;
}

bool is_top_level(const File& file) { return file.path.find('/') == std::string::npos; }

std::string without_sql(std::string_view path) {
  if (path.ends_with(".sql")) path.remove_suffix(4);
  return std::string{path};
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// The first line that starts with `provider`, as Prisma reads its lock file: provider = "postgresql".
std::string provider_of(std::string_view lock_file) {
  while (!lock_file.empty()) {
    const auto end = std::min(lock_file.find('\n'), lock_file.size());
    const auto line = lock_file.substr(0, end);
    lock_file.remove_prefix(std::min(end + 1, lock_file.size()));
    if (!line.starts_with("provider")) continue;
    const auto open = line.find('"');
    const auto close = line.rfind('"');
    if (open != std::string_view::npos && close > open) return std::string{line.substr(open + 1, close - open - 1)};
  }
  return {};
}

}  // namespace

bool fits_prisma(const File& file) {
  return file.path == "migration_lock.toml" || file.path.ends_with("/migration.sql");
}

Source read_prisma(const std::vector<File>& files) {
  Source source;
  std::map<std::string, Migration> folders;
  for (const auto& file : files) {
    if (file.path == "migration_lock.toml") source.provider = provider_of(file.content);
    const auto slash = file.path.find('/');
    if (slash == std::string::npos) continue;
    const auto folder = file.path.substr(0, slash);
    const auto inner = file.path.substr(slash + 1);
    auto [entry, is_new] = folders.try_emplace(folder);
    auto& migration = entry->second;
    if (is_new) {
      migration.key = migration.name = folder;
      migration.path = folder + "/migration.sql";
      migration.script_missing = true;
    }
    if (inner == "migration.sql") {
      migration.script = file.content;
      migration.on_disk = file.on_disk;
      if (!file.on_disk.empty()) {
        migration.down_path = folder + "/down.sql";
        migration.down_on_disk = file.on_disk.substr(0, file.on_disk.size() - std::string_view{"migration.sql"}.size()) + "down.sql";
      }
      migration.script_missing = false;
    } else if (inner == "down.sql") {
      migration.down = file.content;
      migration.down_path = file.path;
    }
  }
  if (!source.provider.empty() && source.provider != "postgresql" && source.provider != "postgres" && source.provider != "cockroachdb") {
    throw Failure{Exit::data, "migration_lock.toml says that these migrations are for \"" + source.provider + "\" (P3019)"};
  }
  for (auto& [name, migration] : folders) source.migrations.push_back(std::move(migration));
  std::stable_sort(source.migrations.begin(), source.migrations.end(),
                   [](const Migration& a, const Migration& b) { return locale_compare(a.name, b.name) < 0; });
  return source;
}

namespace {

struct Section {
  std::size_t begin{}, first_line{1};
  std::string_view options;
};

// The line after "-- migrate:up" or "-- migrate:down".
std::optional<Section> section(std::string_view text, std::string_view name, std::size_t* header = nullptr) {
  std::size_t line_number = 1;
  for (std::size_t at = 0; at < text.size(); ++line_number) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = trimmed(text.substr(at, end - at));
    if (line.starts_with("--")) {
      line = trimmed(line.substr(2));
      if (line.starts_with("migrate:") && line.substr(8).starts_with(name)) {
        const auto rest = line.substr(8 + name.size());
        if (rest.empty() || rest.front() == ' ' || rest.front() == '\t') {
          if (header != nullptr) *header = at;
          return Section{std::min(end + 1, text.size()), line_number + 1, trimmed(rest)};
        }
      }
    }
    at = end + 1;
  }
  return std::nullopt;
}

}  // namespace

bool fits_dbmate(const File& file) {
  return is_top_level(file) && file.path.ends_with(".sql") && leading_digits(file.path) > 0 && section(file.content, "up").has_value();
}

Source read_dbmate(const std::vector<File>& files) {
  Source source;
  for (const auto& file : files) {
    if (!is_top_level(file) || !file.path.ends_with(".sql") || leading_digits(file.path) == 0) continue;
    const auto up = section(file.content, "up");
    if (!up) throw Failure{Exit::data, "\"" + file.path + "\" has no line \"-- migrate:up\""};
    Migration migration;
    migration.key = file.path.substr(0, leading_digits(file.path));
    migration.name = without_sql(file.path);
    migration.path = file.path;
    std::size_t down_header = file.content.size();
    const auto down = section(file.content, "down", &down_header);
    migration.first_line = up->first_line;
    migration.script = file.content.substr(up->begin, down_header > up->begin ? down_header - up->begin : 0);
    migration.own_mode = up->options.find("transaction:false") != std::string_view::npos;
    if (down) {
      migration.down = file.content.substr(down->begin);
      migration.down_path = file.path;
      migration.down_first_line = down->first_line;
    }
    source.migrations.push_back(std::move(migration));
  }
  std::stable_sort(source.migrations.begin(), source.migrations.end(), [](const Migration& a, const Migration& b) { return a.path < b.path; });
  return source;
}

namespace {

// ^([0-9]+)_(.*)\.(down|up)\.(.*)$
struct GolangName {
  std::string version, title;
  bool up{};
};

std::optional<GolangName> golang_name(const File& file) {
  const auto digits = leading_digits(file.path);
  if (!is_top_level(file) || digits == 0 || file.path.compare(digits, 1, "_") != 0) return std::nullopt;
  for (const std::string_view direction : {".up.", ".down."}) {
    const auto at = file.path.rfind(direction);
    if (at == std::string::npos || at <= digits) continue;
    const auto first = std::min(file.path.find_first_not_of('0'), digits);
    const auto version = file.path.substr(first, digits - first);
    return GolangName{version.empty() ? "0" : version, file.path.substr(0, at), direction == ".up."};
  }
  return std::nullopt;
}

}  // namespace

bool fits_golang_migrate(const File& file) { return file.path.ends_with(".sql") && golang_name(file).has_value(); }

Source read_golang_migrate(const std::vector<File>& files) {
  Source source;
  std::map<std::string, std::string> downs;
  std::map<std::string, std::string> down_paths;
  for (const auto& file : files) {
    const auto name = golang_name(file);
    if (!name || !file.path.ends_with(".sql")) continue;
    if (name->up) {
      Migration migration;
      migration.key = name->version;
      migration.name = name->title;
      migration.path = file.path;
      migration.script = file.content;
      source.migrations.push_back(std::move(migration));
    } else {
      downs[name->version] = file.content;
      down_paths[name->version] = file.path;
    }
  }
  for (auto& migration : source.migrations) {
    if (const auto down = downs.find(migration.key); down != downs.end()) {
      migration.down = down->second;
      migration.down_path = down_paths[migration.key];
    }
  }
  std::stable_sort(source.migrations.begin(), source.migrations.end(),
                   [](const Migration& a, const Migration& b) { return version_compare(a.key, b.key) < 0; });
  return source;
}

namespace {

// V1_2__some_words.sql → prefix 'V', version "1.2", description "some words".
struct FlywayName {
  char prefix{};
  std::string version, description;
};

std::optional<FlywayName> flyway_name(std::string_view path) {
  if (const auto slash = path.rfind('/'); slash != std::string_view::npos) path.remove_prefix(slash + 1);
  if (path.size() < 6 || !path.ends_with(".sql")) return std::nullopt;
  path.remove_suffix(4);
  FlywayName name{path.front(), {}, {}};
  const auto separator = path.find("__");
  if (separator == std::string_view::npos) return std::nullopt;
  name.version = path.substr(1, separator - 1);
  name.description = path.substr(separator + 2);
  std::replace(name.version.begin(), name.version.end(), '_', '.');
  std::replace(name.description.begin(), name.description.end(), '_', ' ');
  const bool versioned = (name.prefix == 'V' || name.prefix == 'U') && !name.version.empty() &&
                         name.version.find_first_not_of("0123456789.") == std::string::npos;
  const bool repeatable = name.prefix == 'R' && name.version.empty();
  if (!versioned && !repeatable) return std::nullopt;
  return name;
}

// "flyway.placeholderReplacement=false", with spaces or none; in flyway.toml without the first word.
bool says(std::string_view settings, std::string_view wanted) {
  while (!settings.empty()) {
    const auto end = std::min(settings.find('\n'), settings.size());
    std::string line{trimmed(settings.substr(0, end))};
    settings.remove_prefix(std::min(end + 1, settings.size()));
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
    if (line.starts_with("flyway.")) line.erase(0, 7);
    if (equals_ignoring_case(line, wanted)) return true;
  }
  return false;
}

}  // namespace

bool fits_flyway(const File& file) { return flyway_name(file.path).has_value(); }

Source read_flyway(const std::vector<File>& files) {
  Source source;
  const auto says_in = [&](const std::string& path, std::string_view wanted) {
    return std::any_of(files.begin(), files.end(), [&](const File& file) { return file.path == path && says(file.content, wanted); });
  };
  const auto project_says = [&](std::string_view wanted) { return says_in("flyway.conf", wanted) || says_in("flyway.toml", wanted); };
  constexpr std::string_view no_placeholders = "placeholderReplacement=false";
  const bool off = project_says(no_placeholders);
  source.validates = !project_says("validateOnMigrate=false");
  source.in_order = source.validates && !project_says("outOfOrder=true");
  for (const auto& file : files) {
    const auto name = flyway_name(file.path);
    if (!name || name->prefix == 'U') continue;
    Migration migration;
    migration.placeholders = !off && !says_in(file.path + ".conf", no_placeholders);
    migration.repeatable = name->prefix == 'R';
    migration.key = migration.repeatable ? "R__" + name->description : name->version;
    migration.name = without_sql(file.path);
    migration.description = name->description;
    migration.path = file.path;
    migration.script = file.content;
    source.migrations.push_back(std::move(migration));
  }
  for (const auto& file : files) {
    const auto name = flyway_name(file.path);
    if (!name || name->prefix != 'U') continue;
    for (auto& migration : source.migrations) {
      if (migration.repeatable || version_compare(migration.key, name->version) != 0) continue;
      migration.down = file.content;
      migration.down_path = file.path;
    }
  }
  std::stable_sort(source.migrations.begin(), source.migrations.end(), [](const Migration& a, const Migration& b) {
    if (a.repeatable != b.repeatable) return b.repeatable;
    return a.repeatable ? a.description < b.description : version_compare(a.key, b.key) < 0;
  });
  return source;
}

}  // namespace codops::migrate

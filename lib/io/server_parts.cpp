#include "lib/io/server_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "lib/io/http.hpp"

namespace codops::io {
namespace {

using Words = std::vector<std::string_view>;

struct Spelling {
  Words families, hosts{"HOST", "HOSTNAME", "SERVER"}, ports{"PORT"}, users{"USER", "USERNAME"}, passwords{"PASSWORD", "PASS", "PASSWD", "PWD"}, databases;
};

const Spelling& spelling(Store store) {
  static const Spelling postgres{.families = {"DB_", "DATABASE_", "POSTGRES_", "POSTGRESQL_", "PG_", "PG"}, .databases = {"NAME", "DATABASE", "DB", "DBNAME"}};
  static const Spelling redis{.families = {"REDIS_", "VALKEY_", "REDIS"}, .databases = {"DB", "DATABASE"}};
  return store == Store::postgres ? postgres : redis;
}

std::optional<std::string> value_of(const PartLookup& look, const std::string& name) {
  auto value = look(name);
  return value && !value->empty() ? value : std::nullopt;
}

// The family's name for a piece that has a value; empty: none has.
std::string named(const PartLookup& look, std::string_view family, const Words& endings) {
  for (const auto ending : endings) {
    auto name = fmt::format("{}{}", family, ending);
    if (value_of(look, name)) return name;
  }
  return {};
}

std::string named_anywhere(const PartLookup& look, const std::string& family, const Spelling& words, const Words& endings) {
  if (auto own = named(look, family, endings); !own.empty()) return own;
  for (const auto other : words.families) {
    if (auto found = named(look, other, endings); !found.empty()) return found;
  }
  return {};
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// DB_CONNECTION=pgsql, DB_DIALECT=mysql, …
std::vector<std::string> kinds_said(const std::string& family, const PartLookup& look) {
  std::vector<std::string> kinds;
  for (const auto* ending : {"CONNECTION", "TYPE", "DIALECT", "DRIVER", "CLIENT", "ENGINE", "KIND"}) {
    if (auto kind = value_of(look, family + ending)) kinds.push_back(lower_case(std::move(*kind)));
  }
  return kinds;
}

}  // namespace

std::optional<StoreParts> store_parts(Store store, const PartLookup& look, bool host_needed) {
  const auto& words = spelling(store);
  StoreParts parts;
  for (const auto family : words.families) {
    if (parts.family.empty() && !named(look, family, words.hosts).empty()) parts.family = family;
  }
  for (const auto family : words.families) {
    const bool account = !named(look, family, words.users).empty() && !named(look, family, words.databases).empty();
    if (parts.family.empty() && store == Store::postgres && !host_needed && account) parts.family = family;
  }
  if (parts.family.empty()) return std::nullopt;
  parts.host = named(look, parts.family, words.hosts);
  parts.port = named_anywhere(look, parts.family, words, words.ports);
  parts.user = named_anywhere(look, parts.family, words, words.users);
  parts.password = named_anywhere(look, parts.family, words, words.passwords);
  parts.database = named_anywhere(look, parts.family, words, words.databases);
  const auto text = [&](const std::string& name) { return name.empty() ? std::string{} : value_of(look, name).value_or(""); };
  const auto coded = [&](const std::string& name) { return io::percent_encode(text(name)); };
  parts.host_value = parts.host.empty() ? "localhost" : text(parts.host);
  parts.port_value = text(parts.port);
  const bool v6 = parts.host_value.find(':') != std::string::npos && !parts.host_value.starts_with('[');
  parts.url = fmt::format("{}://{}{}{}{}{}{}{}", store == Store::postgres ? "postgresql" : "redis", coded(parts.user), parts.password.empty() ? "" : ":", coded(parts.password),
                          parts.user.empty() && parts.password.empty() ? "" : "@", v6 ? "[" + parts.host_value + "]" : parts.host_value,
                          parts.port_value.empty() ? "" : ":" + parts.port_value, parts.database.empty() ? "" : "/" + coded(parts.database));
  return parts;
}

std::string other_kind(const StoreParts& parts, const PartLookup& look) {
  if (parts.family != "DB_" && parts.family != "DATABASE_") return {};
  for (const auto& kind : kinds_said(parts.family, look)) {
    for (const auto* other : {"mysql", "maria", "sqlite", "mssql", "sqlserver", "oracle", "mongo", "better-sqlite3", "tedious"}) {
      if (kind.find(other) != std::string::npos) return kind;
    }
  }
  for (const auto* port : {"3306", "1433", "1521", "27017"}) {
    if (parts.port_value == port) return fmt::format("port {}", port);
  }
  return {};
}

Said is_kind(Store store, const StoreParts& parts, const PartLookup& look) {
  if (!other_kind(parts, look).empty()) return Said::no;
  if (store != Store::postgres || (parts.family != "DB_" && parts.family != "DATABASE_")) return Said::yes;
  for (const auto& kind : kinds_said(parts.family, look)) {
    if (kind.find("postgres") != std::string::npos || kind.starts_with("pg")) return Said::yes;
  }
  // PostgreSQL's own ports, and those of pgbouncer and of a hoster's pooler.
  if ((parts.port_value.size() == 4 && parts.port_value.starts_with("543")) || parts.port_value == "6432" || parts.port_value == "6543") return Said::yes;
  const auto host = lower_case(parts.host_value);
  return host.find("postgres") != std::string::npos || host.starts_with("pg") ? Said::yes : Said::nothing;
}

std::vector<std::string> part_names(Store store) {
  const auto& words = spelling(store);
  std::vector<std::string> names;
  for (const auto family : words.families) {
    for (const auto* endings : {&words.hosts, &words.ports, &words.users, &words.passwords, &words.databases}) {
      for (const auto ending : *endings) names.push_back(fmt::format("{}{}", family, ending));
    }
  }
  return names;
}

std::string password_family(std::string_view name) {
  for (const auto store : {Store::postgres, Store::redis}) {
    const auto& words = spelling(store);
    for (const auto family : words.families) {
      if (!name.starts_with(family)) continue;
      if (std::find(words.passwords.begin(), words.passwords.end(), name.substr(family.size())) != words.passwords.end()) return std::string{family};
    }
  }
  return {};
}

std::vector<std::string> user_names(const std::string& family) { return {family + "USER", family + "USERNAME"}; }

}  // namespace codops::io

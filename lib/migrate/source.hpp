#pragma once
// Migration files of the four layouts, recognised by their shape from a plain list of files: from the checkout, from an
// image's archive or from a test.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codops::migrate {

struct File {
  std::string path;     // below the migrations folder, '/' between parts; a folder ends with '/'
  std::string content;  // bytes as they are
  std::string on_disk{};  // where they still are, unread; empty: in `content`
};

enum class Layout { prisma, dbmate, golang_migrate, flyway };
std::string_view name_of(Layout layout);                        // "prisma", "dbmate", "golang-migrate", "flyway"
std::optional<Layout> layout_named(std::string_view name);

struct Migration {
  // What the history has: Prisma: the folder; Flyway's repeatables: "R__" and the description; else the version.
  std::string key;
  std::string name;         // what people see: the folder or the file without ".sql"
  std::string description;  // Flyway's
  std::string path;         // of the script, below the migrations folder
  std::size_t first_line{1};     // of `script` inside the file
  std::string script;            // as in the file, a BOM included
  std::optional<std::string> down;
  std::string down_path;
  std::size_t down_first_line{1};
  bool repeatable{false};        // Flyway's R__: again whenever its checksum changes
  bool own_mode{false};          // dbmate's transaction:false
  bool placeholders{false};      // Flyway's ${…} have a meaning in it
  bool script_missing{false};    // Prisma: a folder without migration.sql
  std::string on_disk;           // the script where it still is, unread: Prisma's names say enough to know what is applied
  std::string down_on_disk;      // where a down script may be. loaded() reads both

  bool operator==(const Migration&) const = default;
};

struct Source {
  Layout layout{Layout::prisma};
  std::vector<Migration> migrations;  // in the order in which they run
  std::string provider;               // Prisma's migration_lock.toml; empty without one
  bool validates{false};              // edited and missing scripts stop a run: Flyway's validateOnMigrate
  bool in_order{false};               // so does one behind which others are applied: unless Flyway's outOfOrder
};

// `named` (from codops.yaml) wins over the shape. Failure{data}: no migrations, several layouts, two of one version, or
// a provider other than PostgreSQL (P3019).
Source recognise(const std::vector<File>& files, std::optional<Layout> named = {});

// Does any file have the shape of a layout?
bool recognisable(const std::vector<File>& files);

bool has_flyway_scripts(const std::vector<File>& files);

// With the scripts that are still on disk. What runs and what is recorded as its checksum must be the same reading.
Migration loaded(Migration migration);

// Where Flyway's own settings may be, seen from a migrations folder whose path is absolute: the first that is there counts. Beside the scripts or,
// in a project of Maven's shape, up to five folders above them.
std::vector<std::string> flyway_settings_places(const std::string& folder);
// As if the settings of that place stood beside the scripts, and no others.
void add_flyway_settings(const std::string& place, std::string content, std::vector<File>& files);

// Every file and folder below `folder`, up to one level deep, Flyway's scripts at any depth; Prisma's stay unread. Failure{data} when there is no such folder.
std::vector<File> read_folder(const std::string& folder);

// --- pieces of the above, each pure
// The order of JavaScript's localeCompare in Node (CLDR root collation) for ASCII and accented Latin letters; others come after 'z' by number.
int locale_compare(std::string_view a, std::string_view b);
// Versions compared number by number, '.' or '_' between parts: 1.2 < 1.10.
int version_compare(std::string_view a, std::string_view b);
// Which of two keys runs first.
int running_order(Layout layout, std::string_view a, std::string_view b);
// How a key is compared with others: for Flyway 1, 1.0 and 01 are one version.
std::string matching_key(Layout layout, std::string_view key);

std::string_view without_bom(std::string_view text);

// Prisma: lower-case hex SHA-256 of the text. Flyway: decimal CRC32 of the lines. Others: empty.
std::string checksum_of(Layout layout, const Migration& migration);
// Is `recorded` a checksum of this script? Prisma also accepts the other line endings and an old, unpadded form.
bool checksum_matches(Layout layout, const Migration& migration, std::string_view recorded);

}  // namespace codops::migrate

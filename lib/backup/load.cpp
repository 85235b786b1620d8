#include "lib/backup/load.hpp"

#include "lib/backup/copy_in.hpp"
#include "lib/backup/custom_archive.hpp"
#include "lib/backup/database_settings.hpp"
#include "lib/backup/hash_leaves.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/sql_script.hpp"
#include "lib/backup/sql_words.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/row_digest.hpp"

namespace codops::backup {
namespace {

constexpr std::size_t buffer_size = 256U << 10U;
// What pg_dump writes after a table's rows; COPY itself does not want it.
constexpr std::string_view end_of_copy = "\\.\n\n\n";

std::string without_semicolon(std::string sql) {
  while (!sql.empty() && (sql.back() == '\n' || sql.back() == ';')) sql.pop_back();
  return sql;
}

std::vector<std::string> restore_arguments(const LoadOptions& options, std::string_view section) {
  std::vector<std::string> arguments{fmt::format("--section={}", section), "--exit-on-error"};
  if (options.no_owner) arguments.emplace_back("--no-owner");
  if (options.no_tablespaces) arguments.emplace_back("--no-tablespaces");
  if (options.no_privileges) arguments.emplace_back("--no-privileges");
  arguments.emplace_back("{file}");
  return arguments;
}

const Part& archive_of(const Manifest& manifest) {
  const auto* part = manifest.find("archive");
  if (part == nullptr) {
    throw Failure{Exit::data, fmt::format("backup {} holds SQL only", manifest.label), "restore it whole into another database: --into NAME"};
  }
  return *part;
}

class BackupLoader {
 public:
  BackupLoader(const CheckedBackup& backup, const io::postgres::Target& into, Programs& programs, const LoadOptions& options, Progress& progress,
               const Limits& limits)
      : backup_{backup}, manifest_{backup.manifest()}, into_{into}, programs_{programs}, options_{options}, progress_{progress}, limits_{limits} {
    options_.jobs = jobs_possible(into, options.jobs, limits);
    auto connection = open_session(into, limits);
    session_ = lasting_options(connection, limits);
  }

  Loaded load(std::string_view name) {
    const auto* archive = manifest_.find("archive");
    if (archive == nullptr) {
      load_sql();
      return std::move(result_);
    }
    load_archive(*archive);
    load_row_parts();
    if (auto wrong = difference(manifest_.tables, found()); !wrong.empty()) throw Failure{Exit::data, wrong};
    set_sequences();
    section("post-data", options_.jobs);
    if (options_.analyze) analyze();
    result_.settings = statements_about_database(head_, name, options_.no_privileges);
    return std::move(result_);
  }

  void load_only(const TablesInto& tables) {
    only_ = &tables;
    load_archive(archive_of(manifest_));
    load_row_parts();
    std::vector<TableContent> expected;
    for (const auto& table : manifest_.tables) {
      if (tables.contains(table.table)) expected.push_back(table);
    }
    if (auto wrong = difference(expected, found()); !wrong.empty()) throw Failure{Exit::data, wrong};
  }

  void load_definitions() {
    head_ = archive_head(backup_, limits_);
    Call call{"pg_restore", {"--section=pre-data", "--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces", "{file}"}, into_.database, {}, head_.bytes};
    call.session = session_;
    programs_.must(call, Exit::failed, limits_);
  }

 private:
  // The rows can't be told apart from the rest while they pass: they are read back instead.
  void load_sql() {
    const auto* sql = manifest_.find("sql");
    if (sql == nullptr) throw Failure{Exit::data, fmt::format("backup {} has no database", manifest_.label)};
    auto reader = backup_.open(*sql, limits_);
    struct Watched final : io::Reader {
      Watched(io::Reader& from, Progress& progress) : from_{from}, progress_{progress} {}
      std::size_t read(char* into, std::size_t size) override {
        const auto got = from_.read(into, size);
        progress_.advance(got);
        return got;
      }
      io::Reader& from_;
      Progress& progress_;
    } watched{reader, progress_};
    const auto note_columns = [&](std::string_view copy) { result_.columns[copied_table(copy)] = column_list(copy); };
    run_script(watched, into_, {options_.no_owner, options_.no_tablespaces, note_columns, {}}, limits_);
    auto back = read_back(into_, manifest_, result_.columns, progress_, limits_);
    if (auto wrong = difference(manifest_.tables, back.found); !wrong.empty()) throw Failure{Exit::data, wrong};
    result_.not_compared = std::move(back.not_compared);
    if (options_.analyze) analyze();
  }

  // The COPY that takes a table's rows; empty: none. `stored` names the columns of its rows, in their order: a partition may have
  // another than its parent.
  std::string copy_of(const std::string& table, std::string_view stored, const std::string& usual) const {
    if (only_ == nullptr) return usual;
    const auto found = only_->find(table);
    return found == only_->end() ? std::string{} : fmt::format("COPY {} {} FROM STDIN", found->second, column_list(stored));
  }

  void load_archive(const Part& part) {
    auto reader = backup_.open(part, limits_);
    std::optional<CopyIn> copy;
    std::optional<io::postgres::Connection> objects;
    std::uint32_t oid = 0;
    std::uint64_t offset = 0;
    io::RowDigest* digest = nullptr;
    ArchiveScanner scanner{
        {[&](const ArchiveHead& head) {
           head_ = head;
           if (only_ == nullptr) section("pre-data", 1);
           copy.emplace(into_, std::max(1, options_.jobs), limits_, head.encoding);
         },
         [&](const TocEntry& entry) {
           progress_.at(entry.table());
           if (entry.description != "TABLE DATA") return;
           result_.columns[entry.table()] = column_list(entry.copy_statement);
           const auto sql = copy_of(entry.table(), entry.copy_statement, without_semicolon(entry.copy_statement));
           if (sql.empty()) return;
           digest = &digests_[entry.table()];
           copy->begin(entry.table(), sql);
         },
         [&](std::string_view bytes) {
           if (digest == nullptr) return;
           digest->feed(bytes);
           copy->feed(bytes);
         },
         [&](const TocEntry&) {
           if (digest != nullptr) copy->end(end_of_copy);
           digest = nullptr;
         },
         [&](std::uint32_t number) {
           oid = number;
           offset = 0;
           if (only_ != nullptr) return;
           if (!objects) objects = open_for_load(into_, limits_);
         },
         [&](std::string_view bytes) {
           if (only_ != nullptr) return;
           objects->query("SELECT pg_catalog.lo_put($1::oid, $2::bigint, pg_catalog.decode($3, 'hex'))",
                          {std::to_string(oid), std::to_string(offset), io::to_hex(bytes)}, limits_);
           offset += bytes.size();
         }}};
    std::vector<char> buffer(buffer_size);
    while (const auto got = reader.read(buffer.data(), buffer.size())) {
      scanner.feed({buffer.data(), got});
      progress_.advance(got);
    }
    scanner.finish();
    if (!copy) throw Failure{Exit::data, "the archive is empty"};
    copy->finish();
    for (const auto& [table, rows] : copy->rows()) loaded_[table] += rows;
  }

  // Each worker decodes a part and sends it on a connection of its own.
  void load_row_parts() {
    std::vector<const Part*> parts;
    for (const auto& part : manifest_.parts) {
      if (part.kind == "rows" && !copy_of(part.subject, part.copy, "x").empty()) parts.push_back(&part);
    }
    if (parts.empty()) return;
    // An earlier codops named the leaf.
    if (only_ == nullptr) {
      auto connection = open_for_load(into_, limits_);
      leaves_ = hash_leaves(connection, limits_);
    }
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr first;
    std::mutex mutex;
    const auto worker = [&] {
      try {
        std::optional<io::postgres::Connection> connection;
        for (auto i = next++; i < parts.size() && !failed; i = next++) {
          if (!connection) connection = open_for_load(into_, limits_, manifest_.database ? manifest_.database->encoding : std::string{});
          load_rows(*parts[i], *connection, mutex);
        }
      } catch (...) {
        const std::lock_guard lock{mutex};
        if (!failed.exchange(true)) first = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> others;
      for (int i = 1; i < options_.jobs; ++i) others.emplace_back(worker);
      worker();
    }
    if (first) std::rethrow_exception(first);
  }

  void load_rows(const Part& part, io::postgres::Connection& connection, std::mutex& mutex) {
    progress_.at(part.subject);
    auto reader = backup_.open(part, limits_);
    io::RowDigest digest;
    const auto leaf = leaves_.find(part.subject);
    const auto usual = leaf != leaves_.end() && leaf->second.by_enum ? fmt::format("{} {}", leaf->second.name, column_list(part.copy)) : part.copy;
    const auto rows = connection.copy_in(
        copy_of(part.subject, part.copy, "COPY " + usual + " FROM STDIN"),
        [&](char* into, std::size_t size) {
          const auto got = reader.read(into, size);
          digest.feed({into, got});
          progress_.advance(got);
          return got;
        },
        limits_);
    const std::lock_guard lock{mutex};
    result_.columns[part.subject] = column_list(part.copy);
    digests_[part.subject].add(digest);
    loaded_[part.subject] += rows;
  }

  std::map<std::string, TableContent> found() const {
    std::map<std::string, TableContent> all;
    for (const auto& [table, digest] : digests_) {
      const auto counted = loaded_.find(table);
      const auto rows = counted == loaded_.end() ? 0 : counted->second;
      // The server must have taken every row that was read.
      all[table] = {table, rows, rows == digest.rows() ? digest.hex() : std::string{}};
    }
    return all;
  }

  void section(std::string_view name, int jobs) {
    progress_.at(name);
    Call call{"pg_restore", restore_arguments(options_, name), into_.database, {}, head_.bytes};
    call.session = session_;
    if (jobs > 1 && programs_.parallel()) call.arguments.insert(call.arguments.begin(), fmt::format("--jobs={}", jobs));
    programs_.must(call, Exit::failed, limits_);
  }

  void set_sequences() {
    std::string sql;
    for (const auto& entry : head_.entries) {
      if (entry.section == section_data && !entry.has_data) sql += entry.definition;
    }
    if (!sql.empty()) open_for_load(into_, limits_, head_.encoding).run(sql, limits_);
  }

  void analyze() {
    progress_.at("analyze");
    backup::analyze(into_, limits_);
  }

  const CheckedBackup& backup_;
  const Manifest& manifest_;
  const io::postgres::Target& into_;
  Programs& programs_;
  LoadOptions options_;
  std::string session_;  // of pg_restore
  Progress& progress_;
  const Limits& limits_;
  const TablesInto* only_{};
  ArchiveHead head_;
  std::map<std::string, HashRoot> leaves_;
  Loaded result_;
  std::map<std::string, io::RowDigest> digests_;
  std::map<std::string, std::uint64_t> loaded_;
};

}  // namespace

Loaded load_backup(const CheckedBackup& backup, const io::postgres::Target& into, Programs& programs, const LoadOptions& options, Progress& progress,
                   const Limits& limits) {
  return BackupLoader{backup, into, programs, options, progress, limits}.load(into.database);
}

int jobs_possible(const io::postgres::Target& target, int jobs, const Limits& limits) {
  if (jobs <= 1) return 1;
  auto connection = open_session(target, limits);
  // Its own session is over when the jobs begin, so that it makes up for one more than the jobs themselves.
  const auto room = connection.query(
      "SELECT LEAST(CASE WHEN rolsuper OR rolconnlimit < 0 THEN 10000 ELSE rolconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usesysid = r.oid) END,"
      " pg_catalog.current_setting('max_connections')::bigint - pg_catalog.current_setting('superuser_reserved_connections')::bigint"
      "  - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usesysid IS NOT NULL))"
      " FROM pg_catalog.pg_roles r WHERE rolname = current_user",
      limits);
  return static_cast<int>(std::clamp<std::int64_t>(room.empty() ? jobs : room.number(0, 0), 1, jobs));
}

void analyze(const io::postgres::Target& target, const Limits& limits) {
  auto connection = open_session(target, limits);
  // Names as the database has them, be they characters or not.
  connection.run("SELECT pg_catalog.set_config('client_encoding', pg_catalog.pg_encoding_to_char(encoding), false) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()", limits);
  const auto try_one = [&](const std::string& sql) {
    try {
      connection.run(sql, limits);
    } catch (const io::postgres::DatabaseError& error) {
      if (error.lost()) throw;
      limits.check("ANALYZE");
    }
  };
  const auto remote = connection.query(
      "WITH RECURSIVE over(id) AS (SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'f'"
      "  UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN over ON over.id = i.inhrelid)"
      " SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.oid IN (SELECT id FROM over)"
      " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema' ORDER BY 2 DESC, 1",
      limits);
  if (remote.empty() || !remote.boolean(0, 1)) return try_one("ANALYZE");
  for (std::size_t i = 0; i < remote.size(); ++i) {
    if (!remote.boolean(i, 1)) try_one(fmt::format("ANALYZE {}", remote.text(i, 0)));
  }
}

ArchiveHead archive_head(const CheckedBackup& backup, const Limits& limits) {
  auto reader = backup.open(archive_of(backup.manifest()), limits);
  std::optional<ArchiveHead> found;
  ArchiveScanner scanner{{[&](const ArchiveHead& head) { found = head; }, {}, {}, {}, {}, {}}};
  std::vector<char> buffer(buffer_size);
  while (!found) {
    const auto got = reader.read(buffer.data(), buffer.size());
    if (got == 0) {
      scanner.finish();  // a short one is read as a whole only at its end
      break;
    }
    scanner.feed({buffer.data(), got});
  }
  return found ? std::move(*found) : scanner.head();
}

void load_tables(const CheckedBackup& backup, const TablesInto& tables, const io::postgres::Target& into, Programs& programs, const LoadOptions& options,
                 Progress& progress, const Limits& limits) {
  BackupLoader{backup, into, programs, options, progress, limits}.load_only(tables);
}

void load_definitions(const CheckedBackup& backup, const io::postgres::Target& into, Programs& programs, const Limits& limits) {
  SilentReporter nobody;
  const SystemClock clock;
  Progress progress{nobody, clock, "restore", 0};
  BackupLoader{backup, into, programs, {}, progress, limits}.load_definitions();
}

}  // namespace codops::backup

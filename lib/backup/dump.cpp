// pg_dump as it streams by. Large tables beside it are in dump_rows.cpp.
#include "lib/backup/dump.hpp"

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/dump_rows.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/channel.hpp"
#include "lib/io/row_digest.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view plain_trailer = "-- PostgreSQL database dump complete";
constexpr std::string_view globals_trailer = "-- PostgreSQL database cluster dump complete";

Part named(std::string name, std::string kind) {
  Part part;
  part.name = std::move(name);
  part.kind = std::move(kind);
  return part;
}

// Keeps the end of a text, to see whether it is whole.
class Tail {
 public:
  void feed(std::string_view bytes) {
    text_.append(bytes.size() > keep ? bytes.substr(bytes.size() - keep) : bytes);
    if (text_.size() > 2 * keep) text_.erase(0, text_.size() - keep);
  }
  bool has(std::string_view words) const { return text_.find(words) != std::string::npos; }

 private:
  static constexpr std::size_t keep = 4096;
  std::string text_;
};

std::vector<std::string> common_arguments(const Snapshot& snapshot, const DumpOptions& options) {
  // The database's own encoding, whatever it or the role has set for clients: rows that we read ourselves are in it too.
  std::vector<std::string> arguments{"--snapshot=" + snapshot.id(), fmt::format("--lock-wait-timeout={}", options.lock_wait.count()), "--encoding=" + snapshot.identity().encoding};
  for (const auto& schema : snapshot.left_out()) arguments.push_back("--exclude-schema=" + io::postgres::quote_identifier(schema));
  return arguments;
}

Call dump_call(const Snapshot& snapshot, const DumpOptions& options) {
  Call call{"pg_dump", common_arguments(snapshot, options), {}};
  call.copies = true;
  call.session = snapshot.session();
  return call;
}

PartOptions part_options(const DumpOptions& options, bool alone) {
  return {options.level, alone ? 1 : 0, true};
}

// pg_dump's archive as SQL, by pg_restore: the same snapshot, the same rows, and the server is read once.
void write_as_sql(io::Reader& archive, Programs& programs, const Destination& destination, const DumpOptions& options, Dumped& into,
                  std::mutex& mutex, const Limits& limits) {
  Tail tail;
  PartWriter writer{destination.store, destination.folder, named("database.sql", "sql"), part_options(options, true), destination.keys, limits};
  Call call{"pg_restore", {"--file=-"}, {}};
  call.connects = false;
  call.streams.in = [&](char* at, std::size_t size) { return archive.read(at, size); };
  call.streams.out = [&](std::string_view bytes) {
    tail.feed(bytes);
    writer.write(bytes);
  };
  programs.must(call, Exit::failed, limits);
  // What pg_restore does not need of the archive's end.
  std::array<char, 4096> rest;
  while (archive.read(rest.data(), rest.size()) > 0) {
  }
  if (!tail.has(plain_trailer)) throw Failure{Exit::failed, "pg_restore's SQL ends without its last line"};
  writer.finish();
  auto part = writer.commit();
  const std::lock_guard lock{mutex};
  into.parts.push_back(std::move(part));
}

// `store`: as a part of its own; `as_sql`: also, or only, as SQL.
void dump_archive(RowsQueue& queue, const Snapshot& snapshot, Programs& programs, const Destination& destination,
                  const DumpOptions& options, const std::vector<LargeTable>& elsewhere, bool store, bool as_sql, Dumped& into,
                  Progress& progress, const Limits& limits) {
  std::map<std::string, io::RowDigest> digests;
  io::RowDigest* current = nullptr;
  ArchiveScanner scanner{{{},
                          [&](const TocEntry& entry) {
                            current = entry.description == "TABLE DATA" ? &digests[entry.table()] : nullptr;
                            progress.at(entry.table());
                          },
                          [&](std::string_view bytes) {
                            if (current != nullptr) current->feed(bytes);
                          },
                          [&](const TocEntry& entry) {
                            if (current != nullptr && !current->complete()) {
                              throw Failure{Exit::data, fmt::format("the rows of \"{}\" end inside a row", entry.table())};
                            }
                            current = nullptr;
                          },
                          {},
                          {}}};
  std::optional<PartWriter> writer;
  if (store) {
    writer.emplace(destination.store, destination.folder, named("database.dump", "archive"), part_options(options, elsewhere.empty() && !as_sql),
                   destination.keys, limits);
  }
  auto call = dump_call(snapshot, options);
  call.arguments.insert(call.arguments.end(), {"--format=custom", "--compress=0", "--create"});
  for (const auto& table : elsewhere) call.arguments.push_back("--exclude-table-data=" + table.pattern);
  const auto run = [&](io::Writer* second) {
    call.streams.out = [&, second](std::string_view bytes) {
      queue.check();
      scanner.feed(bytes);
      if (writer) writer->write(bytes);
      if (second != nullptr) second->write(bytes);
      progress.advance(bytes.size());
    };
    programs.must(call, Exit::failed, limits);
    scanner.finish();
  };
  if (as_sql) {
    io::stream_between([&](io::Writer& passing) { run(&passing); },
                       [&](io::Reader& passing) { write_as_sql(passing, programs, destination, options, into, queue.mutex(), limits); });
  } else {
    run(nullptr);
  }
  std::optional<Part> part;
  if (writer) {
    writer->finish();
    part = writer->commit();
  }
  const std::lock_guard lock{queue.mutex()};
  if (part) into.parts.push_back(std::move(*part));
  into.dump_version = scanner.head().dump_version;
  for (const auto& [table, digest] : digests) into.tables.push_back({table, digest.rows(), digest.hex()});
}

void dump_plain(RowsQueue& queue, const Snapshot& snapshot, Programs& programs, const Destination& destination,
                const DumpOptions& options, Dumped& into, Progress& progress, const Limits& limits) {
  Tail tail;
  PartWriter writer{destination.store, destination.folder, named("database.sql", "sql"), part_options(options, true),
                    destination.keys, limits};
  auto call = dump_call(snapshot, options);
  call.arguments.emplace_back("--format=plain");
  progress.at("as SQL");
  call.streams.out = [&](std::string_view bytes) {
    queue.check();
    tail.feed(bytes);
    writer.write(bytes);
    progress.advance(bytes.size());
  };
  programs.must(call, Exit::failed, limits);
  if (!tail.has(plain_trailer)) throw Failure{Exit::failed, "pg_dump's SQL ends without its last line"};
  writer.finish();
  auto part = writer.commit();
  const std::lock_guard lock{queue.mutex()};
  into.parts.push_back(std::move(part));
}

}  // namespace

Dumped dump_database(Snapshot& snapshot, const io::postgres::Target& target, Programs& programs,
                     const Destination& destination, const DumpOptions& options, Progress& progress,
                     const Limits& limits) {
  Dumped dumped;
  // SQL holds every table, so large ones that are read beside pg_dump's archive are in a second pass of pg_dump, on the same
  // snapshot. A dump of SQL alone is one stream.
  const bool split = options.archive && (options.jobs > 1 || options.split);
  const auto tables = split ? snapshot.large_tables(options.large, limits) : std::vector<LargeTable>{};
  const bool in_passing = options.plain && tables.empty();
  RowsQueue queue{tables, static_cast<std::size_t>(std::max(1, options.jobs)), snapshot.server_major() >= 14};
  const auto archive = [&] { dump_archive(queue, snapshot, programs, destination, options, tables, options.archive, in_passing, dumped, progress, limits); };
  const auto plain = [&] {
    if (options.plain && !in_passing) dump_plain(queue, snapshot, programs, destination, options, dumped, progress, limits);
  };
  // Each locks every table when it begins: both at once, while nobody has had time to wait for one.
  const auto dumps = programs.parallel() ? std::vector<std::function<void()>>{archive, plain} : std::vector<std::function<void()>>{[&] { archive(), plain(); }};
  queue.run(dumps, snapshot, target, destination, options, progress, dumped, limits);
  if (dumped.dump_version.empty()) dumped.dump_version = programs.describe();
  std::sort(dumped.tables.begin(), dumped.tables.end(), [](const auto& a, const auto& b) { return a.table < b.table; });
  std::sort(dumped.parts.begin(), dumped.parts.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return dumped;
}

Part dump_globals(const Snapshot& snapshot, Programs& programs, const Destination& destination, const Limits& limits) {
  Tail tail;
  PartWriter writer{destination.store, destination.folder, named("globals.sql", "globals"), {}, destination.keys,
                    limits};
  Call call{"pg_dumpall", {"--globals-only"}, {}};
  if (!snapshot.superuser()) call.arguments.emplace_back("--no-role-passwords");
  call.streams.out = [&](std::string_view bytes) {
    tail.feed(bytes);
    writer.write(bytes);
  };
  programs.must(call, Exit::failed, limits);
  if (!tail.has(globals_trailer)) throw Failure{Exit::failed, "pg_dumpall's SQL ends without its last line"};
  writer.finish();
  return writer.commit();
}

}  // namespace codops::backup

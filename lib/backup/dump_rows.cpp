#include "lib/backup/dump_rows.hpp"

#include <thread>

#include "lib/base/failure.hpp"

namespace codops::backup {
namespace {

constexpr std::size_t flush_at = 256U << 10U;
// 64 MiB of pages: small enough to balance, large enough for compression.
constexpr std::uint64_t piece_blocks = 8192;

struct Stopped {};

}  // namespace

RowsQueue::RowsQueue(const std::vector<LargeTable>& tables, std::size_t workers, bool by_pages)
    : tables_{tables}, workers_{std::max<std::size_t>(1, std::min(workers, tables.size() + 1))} {
  std::size_t number = 0;
  if (by_pages && !tables_.empty()) workers_ = std::max<std::size_t>(1, workers);
  for (const auto& table : tables_) {
    if (!by_pages || workers_ == 1 || table.blocks < 2 * piece_blocks) {
      pieces_.push_back({&table, ++number, fmt::format("COPY {} ({}) TO STDOUT", table.name, table.columns)});
      continue;
    }
    const auto pieces = table.blocks / piece_blocks;
    for (std::uint64_t i = 0; i < pieces; ++i) {
      const auto from = i * piece_blocks;
      // The last piece has no upper end: the table may have grown, with rows that the snapshot sees.
      const auto upper = i + 1 < pieces ? fmt::format(" AND ctid < '({},0)'", from + piece_blocks) : std::string{};
      pieces_.push_back({&table, ++number,
                         fmt::format("COPY (SELECT {} FROM ONLY {} WHERE ctid >= '({},0)'{}) TO STDOUT", table.columns,
                                     table.name, from, upper)});
    }
  }
}

void RowsQueue::check() const {
  if (failed_) throw Stopped{};
}

bool RowsQueue::next(Piece& piece) {
  const std::lock_guard lock{mutex_};
  if (pieces_.empty()) return false;
  piece = std::move(pieces_.front());
  pieces_.pop_front();
  return true;
}

std::optional<std::function<void()>> RowsQueue::next_dump() {
  const std::lock_guard lock{mutex_};
  if (dumps_.empty()) return std::nullopt;
  auto dump = std::move(dumps_.front());
  dumps_.pop_front();
  return dump;
}

void RowsQueue::run(std::vector<std::function<void()>> dumps, Snapshot& snapshot, const io::postgres::Target& target,
                    const Destination& destination, const DumpOptions& options, Progress& progress, Dumped& into,
                    const Limits& limits) {
  dumps_.assign(std::make_move_iterator(dumps.begin()), std::make_move_iterator(dumps.end()));
  const Run run{snapshot, target, destination, options, progress, into, limits};
  const auto worker = [&] {
    try {
      work(run);
    } catch (const Stopped&) {
    } catch (...) {
      const std::lock_guard lock{mutex_};
      if (!failed_.exchange(true)) first_ = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < workers_; ++i) others.emplace_back(worker);
  worker();
  others.clear();
  if (first_) std::rethrow_exception(first_);
  for (const auto& piece : contended_) read(piece, snapshot.holder(), run);
  for (const auto& [table, digest] : digests_) into.tables.push_back({table, digest.rows(), digest.hex()});
}

namespace {

// False: somebody waits for the table, or has it.
bool lock_at_once(const LargeTable& table, io::postgres::Connection& connection, const Limits& limits) {
  constexpr std::string_view lock_not_available = "55P03";
  try {
    connection.run(fmt::format("SAVEPOINT before_lock; LOCK TABLE ONLY {} IN ACCESS SHARE MODE NOWAIT; RELEASE SAVEPOINT before_lock", table.name), limits);
    return true;
  } catch (const io::postgres::DatabaseError& error) {
    if (error.lost() || error.sqlstate() != lock_not_available) throw;
    connection.run("ROLLBACK TO SAVEPOINT before_lock", limits);
    return false;
  }
}

}  // namespace

void RowsQueue::work(const Run& run) {
  while (const auto dump = next_dump()) (*dump)();
  Piece piece;
  if (!next(piece)) return;
  auto connection = open_for_copy(run.target, run.limits);
  // Of what a query locks beside its table: indexes.
  connection.run(fmt::format("SET lock_timeout = {}; BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}",
                             run.options.lock_wait.count(), io::postgres::quote_literal(run.snapshot.id())),
                 run.limits);
  do {
    if (lock_at_once(*piece.table, connection, run.limits)) {
      read(piece, connection, run);
    } else {
      const std::lock_guard lock{mutex_};
      contended_.push_back(std::move(piece));
    }
  } while (next(piece));
  connection.run("COMMIT", run.limits);
}

void RowsQueue::read(const Piece& piece, io::postgres::Connection& connection, const Run& run) {
  check();
  run.progress.at(piece.table->table);
  Part part;
  part.name = fmt::format("rows-{:04}", piece.number);
  part.kind = "rows";
  part.subject = piece.table->table;
  part.copy = fmt::format("{} ({})", piece.table->into, piece.table->columns);
  PartWriter writer{run.destination.store, run.destination.folder, std::move(part), {run.options.level, 0, false},
                    run.destination.keys, run.limits};
  io::RowDigest digest;
  std::string buffer;
  buffer.reserve(2 * flush_at);
  const auto take = [&](std::string_view bytes) {
    check();
    digest.feed(bytes);
    writer.write(bytes);
    run.progress.advance(bytes.size());
  };
  const auto flush = [&] {
    take(buffer);
    buffer.clear();
  };
  const auto rows = connection.copy_out(
      piece.sql,
      [&](std::string_view row) {
        if (buffer.size() + row.size() > 2 * flush_at) flush();
        // libpq holds a large one already.
        if (row.size() > flush_at) return take(row);
        buffer.append(row);
        if (buffer.size() >= flush_at) flush();
      },
      run.limits);
  flush();
  writer.finish();
  auto done = writer.commit();
  if (!digest.complete() || digest.rows() != rows) {
    throw Failure{Exit::failed, fmt::format("\"{}\": {} rows came instead of {}", piece.table->table, digest.rows(), rows)};
  }
  const std::lock_guard lock{mutex_};
  run.into.parts.push_back(std::move(done));
  digests_[piece.table->table].add(digest);
}

}  // namespace codops::backup

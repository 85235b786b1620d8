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

void RowsQueue::run(const std::function<void()>& archive, const Snapshot& snapshot, const io::postgres::Target& target,
                    const Destination& destination, const DumpOptions& options, Progress& progress, Dumped& into,
                    const Limits& limits) {
  const auto worker = [&] {
    try {
      work(archive, snapshot, target, destination, options, progress, into, limits);
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
  for (const auto& [table, digest] : digests_) into.tables.push_back({table, digest.rows(), digest.hex()});
}

void RowsQueue::work(const std::function<void()>& archive, const Snapshot& snapshot,
                     const io::postgres::Target& target, const Destination& destination, const DumpOptions& options,
                     Progress& progress, Dumped& into, const Limits& limits) {
  if (!archive_taken_.exchange(true)) archive();
  Piece piece;
  if (!next(piece)) return;
  auto connection = open_for_copy(target, limits);
  connection.run(fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}",
                             io::postgres::quote_literal(snapshot.id())),
                 limits);
  do {
    check();
    progress.at(piece.table->table);
    Part part;
    part.name = fmt::format("rows-{:04}", piece.number);
    part.kind = "rows";
    part.subject = piece.table->table;
    part.copy = fmt::format("{} ({})", piece.table->into, piece.table->columns);
    PartWriter writer{destination.store, destination.folder, std::move(part), {options.level, 0, false},
                      destination.keys, limits};
    io::RowDigest digest;
    std::string buffer;
    buffer.reserve(flush_at + (64U << 10U));
    const auto flush = [&] {
      check();
      digest.feed(buffer);
      writer.write(buffer);
      progress.advance(buffer.size());
      buffer.clear();
    };
    const auto rows = connection.copy_out(
        piece.sql,
        [&](std::string_view row) {
          buffer.append(row);
          if (buffer.size() >= flush_at) flush();
        },
        limits);
    flush();
    writer.finish();
    auto done = writer.commit();
    if (!digest.complete() || digest.rows() != rows) {
      throw Failure{Exit::failed, fmt::format("\"{}\": {} rows came instead of {}", piece.table->table, digest.rows(), rows)};
    }
    const std::lock_guard lock{mutex_};
    into.parts.push_back(std::move(done));
    digests_[piece.table->table].add(digest);
  } while (next(piece));
  connection.run("COMMIT", limits);
}

}  // namespace codops::backup

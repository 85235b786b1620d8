#pragma once
// Large tables, read by several workers on one exported snapshot: each piece is a part of COPY rows. A table that somebody waits to
// alter is read by the snapshot's own session, which has its lock: behind him a worker would wait for what waits for us.
#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>

#include "lib/backup/dump.hpp"
#include "lib/io/row_digest.hpp"

namespace codops::backup {

class RowsQueue {
 public:
  // Tables are cut by pages, where the server can read a range of pages, so that no worker is left with one giant.
  RowsQueue(const std::vector<LargeTable>& tables, std::size_t workers, bool by_pages);

  // Runs `dumps` (of pg_dump, which lock every table: so these come first) and all pieces on the workers; returns when everything has
  // ended. The first failure stops the others and is thrown.
  void run(std::vector<std::function<void()>> dumps, Snapshot& snapshot, const io::postgres::Target& target,
           const Destination& destination, const DumpOptions& options, Progress& progress, Dumped& into,
           const Limits& limits);
  void check() const;  // throws when another worker failed
  std::mutex& mutex() { return mutex_; }

 private:
  struct Piece {
    const LargeTable* table{};
    std::size_t number{};
    std::string sql;
  };
  // Of one run.
  struct Run {
    Snapshot& snapshot;
    const io::postgres::Target& target;
    const Destination& destination;
    const DumpOptions& options;
    Progress& progress;
    Dumped& into;
    const Limits& limits;
  };
  std::optional<std::function<void()>> next_dump();
  bool next(Piece& piece);
  void work(const Run& run);
  void read(const Piece& piece, io::postgres::Connection& connection, const Run& run);

  std::vector<LargeTable> tables_;
  std::size_t workers_;
  std::deque<Piece> pieces_;
  std::vector<Piece> contended_;  // for the snapshot's own session
  std::map<std::string, io::RowDigest> digests_;
  std::mutex mutex_;
  std::deque<std::function<void()>> dumps_;
  std::atomic<bool> failed_{false};
  std::exception_ptr first_;
};

}  // namespace codops::backup

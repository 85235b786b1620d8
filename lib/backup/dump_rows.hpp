#pragma once
// Large tables, read by several workers on one exported snapshot: each piece is a part of COPY rows.
#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>

#include "lib/backup/dump.hpp"
#include "lib/io/row_digest.hpp"

namespace codops::backup {

class RowsQueue {
 public:
  // Tables are cut by pages, where the server can read a range of pages, so that no worker is left with one giant.
  RowsQueue(const std::vector<LargeTable>& tables, std::size_t workers, bool by_pages);

  // Runs `archive` and all pieces on the workers; returns when everything has ended. The first failure stops the others
  // and is thrown.
  void run(const std::function<void()>& archive, const Snapshot& snapshot, const io::postgres::Target& target,
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
  bool next(Piece& piece);
  void work(const std::function<void()>& archive, const Snapshot& snapshot, const io::postgres::Target& target,
            const Destination& destination, const DumpOptions& options, Progress& progress, Dumped& into,
            const Limits& limits);

  std::vector<LargeTable> tables_;
  std::size_t workers_;
  std::deque<Piece> pieces_;
  std::map<std::string, io::RowDigest> digests_;
  std::mutex mutex_;
  std::atomic<bool> archive_taken_{false}, failed_{false};
  std::exception_ptr first_;
};

}  // namespace codops::backup

#pragma once
// Rows of one stream into a database on several connections: batches in order, each connection keeps its COPY open as
// long as the next batch is for the same table. No row is held whole.
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/io/postgres.hpp"

namespace codops::backup {

class CopyIn {
 public:
  CopyIn(const io::postgres::Target& into, int connections, const Limits& limits, std::string encoding = {});
  CopyIn(const CopyIn&) = delete;
  CopyIn& operator=(const CopyIn&) = delete;
  ~CopyIn();  // without finish(): gives up

  // `table` names it in rows(); `sql` is its COPY … FROM STDIN.
  void begin(const std::string& table, const std::string& sql);
  // Of the current table, in pieces of any size; waits while enough is queued.
  void feed(std::string_view bytes);
  // Without `terminator` if the bytes end so (at most 8 bytes).
  void end(std::string_view terminator);
  // Waits until everything is committed; throws the first failure of any connection.
  void finish();
  const std::map<std::string, std::uint64_t>& rows() const { return rows_; }  // as the server counted, after finish()

 private:
  struct Table {
    std::string name, sql;
  };
  struct Batch {
    std::shared_ptr<const Table> table;
    std::string bytes;
    bool ends_row{true};  // false: the row goes on in the next batch
  };
  void work();
  std::optional<Batch> next(const Table* same, bool in_row);
  void push(std::string bytes, bool ends_row);
  void stop(std::exception_ptr why);

  io::postgres::Target into_;
  std::string encoding_;
  Limits limits_;
  std::shared_ptr<const Table> table_;
  std::string pending_;
  bool in_row_{};  // its beginning is pushed, its end is not
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> queue_;
  bool closed_{false}, row_taken_{false};
  std::exception_ptr failure_;
  std::map<std::string, std::uint64_t> rows_;
  std::size_t most_queued_;
  std::vector<std::jthread> workers_;
};

// A connection whose COPY FROM reads what open_for_copy() wrote. `encoding`: of statements and rows; empty: the database's own.
io::postgres::Connection open_for_load(const io::postgres::Target& into, const Limits& limits, const std::string& encoding = {});

}  // namespace codops::backup

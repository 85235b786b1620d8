#include "lib/backup/copy_in.hpp"

#include "lib/backup/snapshot.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {
namespace {

constexpr std::size_t batch_size = 1U << 20U;
constexpr std::size_t terminator_size = 8;

}  // namespace

CopyIn::CopyIn(const io::postgres::Target& into, int connections, const Limits& limits, std::string encoding)
    : into_{into}, encoding_{std::move(encoding)}, limits_{limits}, most_queued_{static_cast<std::size_t>(connections) * 3} {
  for (int i = 0; i < connections; ++i) {
    workers_.emplace_back([this] {
      try {
        work();
      } catch (...) {
        stop(std::current_exception());
      }
    });
  }
}

CopyIn::~CopyIn() {
  stop(std::make_exception_ptr(Failure{Exit::failed, "given up"}));
  workers_.clear();
}

void CopyIn::begin(const std::string& table, const std::string& sql) {
  table_ = std::make_shared<const Table>(Table{table, sql});
}

void CopyIn::feed(std::string_view bytes) {
  pending_.append(bytes);
  if (pending_.size() < batch_size) return;
  // A row longer than a batch goes on in pieces, to whoever has its beginning.
  const auto last = pending_.rfind('\n', pending_.size() - terminator_size - 1);
  const bool whole = last != std::string::npos;
  const auto end = whole ? last + 1 : pending_.size() - terminator_size;
  auto rest = pending_.substr(end);
  pending_.resize(end);
  in_row_ = !whole;
  push(std::exchange(pending_, std::move(rest)), whole);
}

void CopyIn::end(std::string_view terminator) {
  if (pending_.ends_with(terminator)) pending_.resize(pending_.size() - terminator.size());
  if (!pending_.empty() || in_row_) push(std::exchange(pending_, {}), true);
  in_row_ = false;
  table_.reset();
}

void CopyIn::push(std::string bytes, bool ends_row) {
  std::unique_lock lock{mutex_};
  // Cancellation and the deadline reach the workers, which wait on their connections; they end this wait.
  changed_.wait(lock, [&] { return queue_.size() < most_queued_ || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  queue_.push_back({table_, std::move(bytes), ends_row});
  changed_.notify_all();
}

void CopyIn::finish() {
  {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    changed_.notify_all();
  }
  workers_.clear();
  if (failure_) std::rethrow_exception(failure_);
}

void CopyIn::stop(std::exception_ptr why) {
  const std::lock_guard lock{mutex_};
  if (!failure_) failure_ = std::move(why);
  changed_.notify_all();
}

// The next batch; with `same`, nullopt as soon as the next one is for another table. While a row is taken in pieces the next ones are
// for whoever is `in_row`.
std::optional<CopyIn::Batch> CopyIn::next(const Table* same, bool in_row) {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return (!queue_.empty() && in_row == row_taken_) || (closed_ && queue_.empty()) || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  if (queue_.empty() || (same != nullptr && queue_.front().table.get() != same)) return std::nullopt;
  auto batch = std::move(queue_.front());
  queue_.pop_front();
  row_taken_ = !batch.ends_row;
  changed_.notify_all();
  return batch;
}

void CopyIn::work() {
  auto connection = open_for_load(into_, limits_, encoding_);
  while (auto first = next(nullptr, false)) {
    const auto table = first->table;
    std::optional<Batch> batch = std::move(first);
    std::size_t at = 0;
    const auto rows = connection.copy_in(
        table->sql,
        [&](char* into, std::size_t size) -> std::size_t {
          if (!batch) return 0;
          while (at == batch->bytes.size()) {
            batch = next(table.get(), !batch->ends_row);
            at = 0;
            if (!batch) return 0;
          }
          const auto taken = batch->bytes.copy(into, size, at);
          at += taken;
          return taken;
        },
        limits_);
    const std::lock_guard lock{mutex_};
    rows_[table->name] += rows;
  }
}

io::postgres::Connection open_for_load(const io::postgres::Target& into, const Limits& limits, const std::string& encoding) {
  auto connection = open_for_copy(into, limits);
  // Nothing is in use before the swap, whose own commit is synchronous and flushes all of this too.
  connection.run("SET synchronous_commit = off; SET check_function_bodies = off; SET default_transaction_read_only = off",
                 limits);
  if (!encoding.empty()) connection.run("SET client_encoding = " + io::postgres::quote_literal(encoding), limits);
  return connection;
}

}  // namespace codops::backup

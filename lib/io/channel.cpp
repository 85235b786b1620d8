#include "lib/io/channel.hpp"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "lib/base/failure.hpp"

namespace codops::io {
namespace {

constexpr std::size_t most_on_the_way = 2U << 20U;

struct ConsumerEnded {};

class Channel final : public Writer, public Reader {
 public:
  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return closed_ || waiting_.size() < most_on_the_way; });
      if (closed_) throw ConsumerEnded{};
      const auto taken = bytes.substr(0, most_on_the_way - waiting_.size());
      waiting_.append(taken);
      bytes.remove_prefix(taken.size());
      changed_.notify_all();
    }
  }
  void finish() override { end(false); }
  void end(bool failed) {
    const std::lock_guard lock{mutex_};
    ended_ = true;
    failed_ |= failed;
    changed_.notify_all();
  }

  std::size_t read(char* into, std::size_t size) override {
    if (at_ == taken_.size()) {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return failed_ || ended_ || !waiting_.empty(); });
      if (failed_) throw Failure{Exit::failed, "the source of the bytes failed"};
      if (waiting_.empty()) return 0;
      taken_.clear();
      at_ = 0;
      std::swap(taken_, waiting_);
      changed_.notify_all();
    }
    const auto count = taken_.copy(into, size, at_);
    at_ += count;
    return count;
  }
  void close() {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  bool ended_{}, failed_{}, closed_{};
  std::string taken_;  // the reader's own
  std::size_t at_{};
};

}  // namespace

void stream_between(const std::function<void(Writer&)>& produce, const std::function<void(Reader&)>& consume) {
  Channel channel;
  std::exception_ptr produced, consumed;
  std::jthread consumer{[&] {
    try {
      consume(channel);
    } catch (...) {
      consumed = std::current_exception();
    }
    channel.close();
  }};
  try {
    produce(channel);
    channel.finish();
  } catch (const ConsumerEnded&) {
  } catch (...) {
    produced = std::current_exception();
    channel.end(true);
  }
  consumer.join();
  if (produced) std::rethrow_exception(produced);
  if (consumed) std::rethrow_exception(consumed);
}

}  // namespace codops::io

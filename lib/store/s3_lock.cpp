#include "lib/store/s3_lock.hpp"

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/store/lock_text.hpp"

namespace codops::store {
namespace {

constexpr Milliseconds one_renewal{20'000};

// How long ago it was written, by the server's clock where it tells both times.
Milliseconds silence_of(const io::HttpResponse& response, const LockText& text, WallTime now) {
  const auto date = parse_http_date(response.header("date")), modified = parse_http_date(response.header("last-modified"));
  if (date && modified) return *date - *modified;
  return text.renewed ? now - *text.renewed : Milliseconds::max();
}

class ObjectLock final : public StoreLock {
 public:
  ObjectLock(std::shared_ptr<S3Client> client, std::string key, LockText text)
      : client_{std::move(client)}, key_{std::move(key)}, text_{std::move(text)}, renewed_{std::chrono::steady_clock::now()}, thread_{[this] { run(); }} {}
  ~ObjectLock() override {
    stop_.cancel(Exit::interrupted);
    thread_.join();
    try {
      const auto limits = Limits{}.within(Milliseconds{15'000});
      // Somebody may have taken it over.
      if (const auto there = client_->send({"GET", key_, {}, {}, {}}, limits); there.ok() && parse_lock_text(there.body).token == text_.token) {
        give_back(there.header("etag"), limits);
      }
    } catch (const std::exception&) {
      // It is taken over once its process is gone.
    }
  }

  void check() override {
    // Whoever was stopped for long asks at once: others may have had reason to take it.
    if (!lost_ && std::chrono::steady_clock::now() - renewed_.load() > client_->settings().lock_stale_after / 2) renew(Limits{}.within(one_renewal));
    if (lost_) {
      throw Failure{Exit::locked, fmt::format("another run has taken over the lock of {}: this one gave no sign of life for too long", client_->describe()),
                    "run it again"};
    }
  }

 private:
  // A key that may not remove it leaves one that nobody holds.
  void give_back(const std::string& tag, const Limits& limits) {
    try {
      client_->send({"DELETE", key_, {}, {}, {}}, limits);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::config) throw;
      client_->send({"PUT", key_, {}, {{"if-match", tag}}, "{}\n"}, limits);
    }
  }

  void run() {
    const Limits stopped{Deadline::never(), stop_.token()};
    try {
      while (!lost_) {
        stopped.within(client_->settings().lock_renewed_every).wait(-1, 0);
        try {
          renew(stopped.within(one_renewal));
        } catch (const Failure&) {
          stopped.cancel.check();  // else the next time, or check(), may have more luck
        }
      }
    } catch (const Failure&) {
      // The end.
    }
  }

  void renew(const Limits& limits) {
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto there = client_->send({"GET", key_, {}, {}, {}}, limits);
      if (!there.ok() || parse_lock_text(there.body).token != text_.token) {
        lost_ = true;
        return;
      }
      auto text = text_;
      text.renewed = client_->clock().now();
      // Only in the place of what was looked at.
      if (client_->send({"PUT", key_, {}, {{"if-match", there.header("etag")}}, to_json(text)}, limits).ok()) {
        renewed_ = std::chrono::steady_clock::now();
        return;
      }
    }
  }

  std::shared_ptr<S3Client> client_;
  std::string key_;
  LockText text_;
  std::atomic<bool> lost_{};
  std::atomic<std::chrono::steady_clock::time_point> renewed_;
  CancelSource stop_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<StoreLock> take_s3_lock(const std::shared_ptr<S3Client>& client, const std::string& key, const Limits& limits, LockHolder* holder) {
  auto mine = new_lock_text(client->clock().now());
  mine.token = io::to_hex(io::random_bytes(16));
  const auto text = to_json(mine);
  const auto held = [&] { return std::make_unique<ObjectLock>(client, key, mine); };
  // Looked at first: not every server knows If-None-Match.
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto there = client->send({"GET", key, {}, {}, {}}, limits);
    if (!there.ok()) {
      // 404 is of the bucket: send() says so where the server does.
      const auto made = client->send({"PUT", key, {}, {{"if-none-match", "*"}}, text}, limits);
      if (made.ok()) return held();
      if (made.status == 404) throw Failure{Exit::config, fmt::format("there is no bucket \"{}\"", client->settings().address.bucket), "look at backup.store"};
      continue;  // 412: somebody was faster, or an answer to our own was lost on the way; the next look tells
    }
    const auto found = parse_lock_text(there.body);
    if (found.token == mine.token) return held();
    const auto silent = silence_of(there, found, client->clock().now());
    if (!found.holder.host.empty() && silent <= client->settings().lock_stale_after && !found.holder_is_gone()) {
      if (holder != nullptr) {
        *holder = found.holder;
        holder->silent = std::max(silent, Milliseconds{0});
        holder->taken_over_after = client->settings().lock_stale_after;
      }
      return nullptr;
    }
    // Two that find it stale at once: the second one's condition no longer holds.
    const auto made = client->send({"PUT", key, {}, {{"if-match", there.header("etag")}}, text}, limits);
    if (made.ok()) return held();
  }
  return nullptr;
}

}  // namespace codops::store

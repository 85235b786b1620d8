#pragma once
// One API server, its protocol and its errors: credentials, retries, JSON, the server's clock. The calls are in api.hpp.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/engine/kubernetes/api_error.hpp"
#include "lib/engine/kubernetes/connection.hpp"
#include "lib/engine/kubernetes/credentials.hpp"
#include "lib/io/http.hpp"
#include "lib/io/websocket.hpp"

namespace codops::engine::kubernetes {

using Query = std::vector<std::pair<std::string, std::string>>;

struct ClientOptions {
  Milliseconds patience{30'000};  // for one call that has no limit of its own, retries included
  // How long repeatable calls are tried again while the server can't be reached, beyond the patience if need be. Commands
  // that only ask leave it at zero; those that change something have the time in which an API server restarts.
  Milliseconds outage{0};
};

struct Call {
  std::string method{"GET"};
  std::string path;  // "/api/v1/namespaces/shop/pods"
  Query query;
  std::string body;
  std::string content_type{"application/json"};
  std::string accept{"application/json"};
  std::string what;  // "apply Deployment shop/backend": for messages; empty: method and path
  io::ByteSink download;
  bool repeatable{false};               // may be sent again after a lost connection; GET always may
  std::optional<Milliseconds> timeout;  // unset: patience; zero: none
  Milliseconds inactivity{0};
  std::vector<int> expected;            // error statuses that are an answer: not thrown
};

// Thread-safe.
class Client {
 public:
  explicit Client(Connection connection, ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Waits and repeats where the server asks for it (429 and 5xx with Retry-After; a Retry-After beyond the patience is
  // not waited for), once more with new credentials after 401. Throws ApiError for an unexpected status of 400 and more,
  // HttpFailure with a hint when nobody answers.
  io::HttpResponse call(const Call& call, const Limits& limits);
  nlohmann::json call_json(const Call& call, const Limits& limits);
  // The answer's head is there and its status is below 400. `timeout` covers that much.
  std::unique_ptr<io::HttpStream> open(const Call& call, const Limits& limits);
  // Subprotocols in order of preference; the one that the server chose is WebSocket::protocol().
  std::unique_ptr<io::WebSocket> websocket(const Call& call, const std::vector<std::string>& protocols, const Limits& limits);

  // The server's clock by the Date of its last answer and the time since, suspension included, to the second.
  std::optional<WallTime> server_now() const;
  // Asks the server and returns its Date.
  WallTime ask_server_now(const Limits& limits);

  const Connection& connection() const noexcept { return connection_; }
  Milliseconds outage() const noexcept { return outage_; }
  // When a call found nobody at last; the clock's epoch: never.
  std::chrono::steady_clock::time_point last_lost() const noexcept { return last_lost_; }
  // For calls that begin from now on.
  void bear_outages(Milliseconds outage) noexcept { outage_ = outage; }

 private:
  // Runs `attempt` until it succeeds or may not be repeated, as call() says. `attempt` returns the answer, with the body
  // where its status is 400 or more.
  using Attempt = std::function<io::HttpResponse(io::HttpClient& http, const io::HttpRequest& request)>;
  io::HttpResponse repeat(const Call& call, io::HttpRequest request, const Attempt& attempt, const Limits& limits);
  std::shared_ptr<io::HttpClient> http_for(const Authenticator::Proof& proof);
  void note_clock(const io::HttpResponse& response);
  [[noreturn]] void explain(const io::HttpFailure& failure, const Call& call) const;
  [[noreturn]] void refuse(const io::HttpResponse& response, const Call& call) const;

  Connection connection_;
  ClientOptions options_;
  SystemClock system_clock_;
  Authenticator authenticator_;
  mutable std::mutex mutex_;
  std::shared_ptr<io::HttpClient> http_;
  std::uint64_t http_generation_{0};
  std::optional<std::pair<WallTime, Milliseconds>> clock_;  // Clock::since_boot: a laptop that slept does not lag behind
  std::atomic<Milliseconds> outage_;
  std::atomic<std::chrono::steady_clock::time_point> last_lost_{};
};

}  // namespace codops::engine::kubernetes

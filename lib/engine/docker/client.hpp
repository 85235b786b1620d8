#pragma once
// One engine, its protocol and its errors: API version, JSON, the engine's clock. The calls themselves are in api.hpp.
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/engine/docker/endpoint.hpp"
#include "lib/engine/docker/types.hpp"
#include "lib/io/http.hpp"

namespace codops::engine::docker {

// API versions that codops speaks; the engine's own, if it lies between, is used.
inline constexpr std::string_view oldest_api = "1.40";
inline constexpr std::string_view newest_api = "1.47";

using Query = std::vector<std::pair<std::string, std::string>>;

// How long one call may take that has no limit of its own.
inline constexpr Milliseconds default_patience{30'000};

struct Call {
  std::string method{"GET"};
  std::string path;    // "/containers/json", without the version
  Query query;
  std::string body;    // JSON, or a tar with its content_type
  std::string content_type{"application/json"};
  std::vector<std::pair<std::string, Secret>> secret_headers;
  io::ByteSource upload;
  io::ByteSink download;
  bool idempotent{false};
  std::optional<Milliseconds> timeout;  // unset: the client's patience; zero: none
  Milliseconds inactivity{0};
  std::vector<int> expected;     // error statuses that are an answer: not thrown
};

// Thread-safe.
class Client {
 public:
  explicit Client(Endpoint endpoint, Milliseconds patience = default_patience);
  ~Client();

  // Throws ApiError for an unexpected status of 400 and more, Failure{unavailable} with a hint when nobody answers.
  io::HttpResponse call(const Call& call, const Limits& limits);
  nlohmann::json call_json(const Call& call, const Limits& limits);
  std::unique_ptr<io::HttpStream> open(const Call& call, const Limits& limits);
  std::unique_ptr<io::Duplex> hijack(const Call& call, const Limits& limits);

  // Asks once; "1.41".
  std::string api_version(const Limits& limits);
  bool is_podman(const Limits& limits);
  bool at_least(std::string_view version, const Limits& limits);
  // The engine's clock by the Date of its last answer and the time since, to the second.
  std::optional<WallTime> engine_now() const;
  // Asks the engine and returns its Date.
  WallTime ask_engine_now(const Limits& limits);

  const Endpoint& endpoint() const noexcept { return endpoint_; }

 private:
  io::HttpRequest request(const Call& call, const Limits& limits);
  void negotiate(const Limits& limits);
  void note_clock(const io::HttpResponse& response);
  [[noreturn]] void explain(const io::HttpFailure& failure) const;
  [[noreturn]] void refuse(const Call& call, int status, const std::string& body) const;

  Endpoint endpoint_;
  Milliseconds patience_;
  io::HttpClient http_;
  mutable std::mutex mutex_;
  std::string api_version_;
  bool podman_{};
  std::optional<std::pair<WallTime, std::chrono::steady_clock::time_point>> clock_;
};

// Numeric, part by part: "1.9" < "1.41".
bool api_less(std::string_view a, std::string_view b);
// The version to speak with an engine whose newest is `engine`; throws Failure{unavailable} below oldest_api.
std::string negotiated_api(std::string_view engine);

}  // namespace codops::engine::docker

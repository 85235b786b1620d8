#include "lib/engine/docker/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

namespace codops::engine::docker {

using nlohmann::json;

ApiError::ApiError(int status, std::string message, std::string hint)
    : Failure{Exit::failed, std::move(message), std::move(hint)}, status_{status} {}

bool api_less(std::string_view a, std::string_view b) {
  const auto parts = [](std::string_view text) {
    std::pair<int, int> result{};
    const auto dot = text.find('.');
    std::from_chars(text.data(), text.data() + std::min(dot, text.size()), result.first);
    if (dot != std::string_view::npos) std::from_chars(text.data() + dot + 1, text.data() + text.size(), result.second);
    return result;
  };
  return parts(a) < parts(b);
}

std::string negotiated_api(std::string_view engine) {
  if (engine.empty() || api_less(engine, oldest_api)) {
    throw Failure{Exit::unavailable,
                  fmt::format("the engine speaks API {}, older than {}", engine.empty() ? "?" : engine, oldest_api),
                  "upgrade it to Docker 19.03 or newer"};
  }
  return std::string{api_less(engine, newest_api) ? engine : newest_api};
}

Client::Client(Endpoint endpoint, Milliseconds patience)
    : endpoint_{std::move(endpoint)}, patience_{patience}, http_{endpoint_.server} {}
Client::~Client() = default;

void Client::explain(const io::HttpFailure& failure) const {
  using Kind = io::HttpFailure::Kind;
  std::string hint;
  if (failure.kind() == Kind::connect && failure.os_error() == EACCES) {
    hint = "add yourself to the group \"docker\" (usermod -aG docker $USER), or use sudo";
  } else if (failure.kind() == Kind::connect && endpoint_.kind == Endpoint::Kind::unix_socket) {
    hint = endpoint_.origin == "default" ? "start it (systemctl start docker), or set DOCKER_HOST"
                                         : fmt::format("start it, or change {}", endpoint_.origin);
  } else if (failure.kind() == Kind::connect || failure.kind() == Kind::resolve) {
    hint = fmt::format("check {} and that the engine listens there", endpoint_.origin);
  } else if (failure.kind() == Kind::tls) {
    hint = "check DOCKER_CERT_PATH: ca.pem must have signed the engine's certificate";
  } else if (failure.kind() == Kind::timeout) {
    hint = "see whether it hangs: docker version; journalctl -u docker";
  }
  throw io::HttpFailure{failure.kind(), failure.os_error(), failure.message(), hint};
}

void Client::refuse(const Call& call, int status, const std::string& body) const {
  const auto parsed = json::parse(body, nullptr, false);
  std::string message;
  if (parsed.is_object()) message = parsed.value("message", "");
  if (message.empty()) message = body.substr(0, 200);
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  if (message.empty()) message = fmt::format("{} {}", call.method, call.path);
  throw ApiError{status, fmt::format("the engine answered {}: {}", status, message)};
}

void Client::note_clock(const io::HttpResponse& response) {
  const auto date = parse_http_date(response.header("date"));
  if (!date) return;
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock{mutex_};
  // A Date is cut to the second: as long as what we reckon agrees with it, it is finer, and never runs backwards.
  if (clock_) {
    const auto reckoned = clock_->first + std::chrono::duration_cast<Milliseconds>(now - clock_->second);
    if (*date <= reckoned && reckoned < *date + std::chrono::seconds{1}) return;
  }
  clock_.emplace(*date, now);
}

void Client::negotiate(const Limits& limits) {
  io::HttpRequest ping;
  ping.method = "HEAD";
  ping.target = "/_ping";
  ping.timeout = patience_;
  try {
    const auto answer = http_.send(ping, limits);
    note_clock(answer);
    if (!answer.ok()) refuse({"HEAD", "/_ping"}, answer.status, answer.body);
    auto version = negotiated_api(answer.header("api-version"));
    const std::lock_guard lock{mutex_};
    api_version_ = std::move(version);
    podman_ = !answer.header("libpod-api-version").empty();
  } catch (const io::HttpFailure& failure) {
    explain(failure);
  }
}

std::string Client::api_version(const Limits& limits) {
  {
    const std::lock_guard lock{mutex_};
    if (!api_version_.empty()) return api_version_;
  }
  negotiate(limits);
  const std::lock_guard lock{mutex_};
  return api_version_;
}

bool Client::is_podman(const Limits& limits) {
  api_version(limits);
  return podman_;
}

bool Client::at_least(std::string_view version, const Limits& limits) { return !api_less(api_version(limits), version); }

std::optional<WallTime> Client::engine_now() const {
  const std::lock_guard lock{mutex_};
  if (!clock_) return std::nullopt;
  return clock_->first + std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - clock_->second);
}

WallTime Client::ask_engine_now(const Limits& limits) {
  call({"HEAD", "/_ping"}, limits);
  const auto now = engine_now();
  if (!now) throw Failure{Exit::unavailable, fmt::format("{} sends no Date", endpoint_.server.name)};
  return *now;
}

io::HttpRequest Client::request(const Call& call, const Limits& limits) {
  io::HttpRequest result;
  result.method = call.method;
  result.target = fmt::format("/v{}{}", api_version(limits), call.path);
  char separator = '?';
  for (const auto& [name, value] : call.query) {
    result.target += fmt::format("{}{}={}", separator, name, io::percent_encode(value));
    separator = '&';
  }
  result.body = call.body;
  result.upload = call.upload;
  result.download = call.download;
  result.secret_headers = call.secret_headers;
  if (!call.body.empty() || call.upload) result.headers.emplace_back("Content-Type", call.content_type);
  result.idempotent = call.idempotent;
  result.timeout = call.timeout.value_or(patience_);
  result.inactivity = call.inactivity;
  return result;
}

io::HttpResponse Client::call(const Call& call, const Limits& limits) {
  try {
    auto response = http_.send(request(call, limits), limits);
    note_clock(response);
    if (response.status >= 400 && std::count(call.expected.begin(), call.expected.end(), response.status) == 0) {
      refuse(call, response.status, response.body);
    }
    return response;
  } catch (const io::HttpFailure& failure) {
    explain(failure);
  }
}

json Client::call_json(const Call& call, const Limits& limits) {
  const auto response = this->call(call, limits);
  if (response.body.empty()) return nullptr;
  auto parsed = json::parse(response.body, nullptr, false);
  if (parsed.is_discarded()) {
    throw Failure{Exit::unavailable, fmt::format("{} answered {} {} with something that is not JSON",
                                                 endpoint_.server.name, call.method, call.path)};
  }
  return parsed;
}

std::unique_ptr<io::HttpStream> Client::open(const Call& call, const Limits& limits) {
  try {
    auto stream = http_.open(request(call, limits), limits);
    note_clock(stream->head());
    if (const int status = stream->head().status; status >= 400) {
      std::string body;
      constexpr std::size_t most = 64 * 1024;
      for (auto bytes = stream->read(limits); !bytes.empty() && body.size() < most; bytes = stream->read(limits)) body += bytes;
      refuse(call, status, body);
    }
    return stream;
  } catch (const io::HttpFailure& failure) {
    explain(failure);
  }
}

std::unique_ptr<io::Duplex> Client::hijack(const Call& call, const Limits& limits) {
  try {
    auto hijacked = http_.hijack(request(call, limits), limits);
    note_clock(hijacked.head);
    if (!hijacked.stream) refuse(call, hijacked.head.status, hijacked.head.body);
    return std::move(hijacked.stream);
  } catch (const io::HttpFailure& failure) {
    explain(failure);
  }
}

}  // namespace codops::engine::docker

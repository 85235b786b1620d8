#include "lib/engine/kubernetes/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/base/retry.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

constexpr int most_repeats = 10;
constexpr Milliseconds roles_are_known_after{15'000};  // of an outage
constexpr std::size_t largest_refusal = 256 * 1024;

std::string what_of(const Call& call) { return call.what.empty() ? fmt::format("{} {}", call.method, call.path) : call.what; }

io::HttpRequest http_request(const Call& call) {
  io::HttpRequest request;
  request.method = call.method;
  request.target = call.path;
  char separator = '?';
  for (const auto& [name, value] : call.query) {
    request.target += fmt::format("{}{}={}", separator, name, io::percent_encode(value));
    separator = '&';
  }
  request.body = call.body;
  request.download = call.download;
  request.headers.emplace_back("Accept", call.accept);
  request.headers.emplace_back("User-Agent", "codops");
  if (!call.body.empty()) request.headers.emplace_back("Content-Type", call.content_type);
  request.idempotent = call.repeatable;
  request.inactivity = call.inactivity;
  return request;
}

bool may_repeat(const Call& call) { return (call.repeatable || call.method == "GET") && !call.download; }

// Answers of a server that is starting, ending or short of its store.
bool passes(int status) { return status == 502 || status == 503 || status == 504; }

}  // namespace

Client::Client(Connection connection, ClientOptions options)
    : connection_{std::move(connection)},
      options_{options},
      authenticator_{connection_, system_clock_},
      http_{std::make_shared<io::HttpClient>(connection_.server)},
      outage_{options.outage} {}
Client::~Client() = default;

std::shared_ptr<io::HttpClient> Client::http_for(const Authenticator::Proof& proof) {
  const std::lock_guard lock{mutex_};
  if (!proof.certificate_pem.empty() && proof.generation != http_generation_) {
    auto server = connection_.server;
    server.tls.cert_pem = proof.certificate_pem;
    server.tls.key_pem = proof.key_pem;
    http_ = std::make_shared<io::HttpClient>(std::move(server));
    http_generation_ = proof.generation;
  }
  return http_;
}

void Client::note_clock(const io::HttpResponse& response) {
  const auto date = parse_http_date(response.header("date"));
  if (!date) return;
  const std::lock_guard lock{mutex_};
  clock_.emplace(*date, system_clock_.since_boot());
}

std::optional<WallTime> Client::server_now() const {
  const std::lock_guard lock{mutex_};
  if (!clock_) return std::nullopt;
  return clock_->first + (system_clock_.since_boot() - clock_->second);
}

WallTime Client::ask_server_now(const Limits& limits) {
  const auto response = call({.path = "/version", .what = "ask for the time"}, limits);
  const auto date = parse_http_date(response.header("date"));
  if (!date) throw Failure{Exit::unavailable, fmt::format("{} sends no Date", connection_.server.name)};
  return *date;
}

void Client::explain(const io::HttpFailure& failure, const Call& call) const {
  using Kind = io::HttpFailure::Kind;
  std::string hint = failure.hint();
  const auto where = connection_.context.empty() ? connection_.origin : fmt::format("context \"{}\" of {}", connection_.context, connection_.origin);
  if (failure.kind() == Kind::connect || failure.kind() == Kind::resolve) {
    hint = fmt::format("check that the address is right ({}) and can be reached from here (VPN, proxy)", where);
  } else if (failure.kind() == Kind::tls) {
    hint = fmt::format("certificate-authority-data must have signed the server's certificate, and the client certificate must be valid ({})", where);
  } else if (failure.kind() == Kind::timeout) {
    hint = "the API server is stuck or overloaded: look at its own logs";
  }
  io::HttpFailure explained{failure.kind(), failure.os_error(), failure.message(), hint};
  explained.add_context(what_of(call));
  throw explained;
}

void Client::refuse(const io::HttpResponse& response, const Call& call) const {
  auto error = api_error(response.status, response.body, what_of(call), call.body);
  if (response.status == 401 && !connection_.user.empty()) {
    throw ApiError{401, error.reason(), error.causes(), error.message(),
                   fmt::format("the credentials of user \"{}\" in {} were refused: log in again, or renew them", connection_.user, connection_.origin)};
  }
  throw error;
}

io::HttpResponse Client::repeat(const Call& call, io::HttpRequest request, const Attempt& attempt, const Limits& limits) {
  const auto patience = call.timeout.value_or(options_.patience);
  // Attempts share the call's time; a stream without a limit of its own has the patience for each attempt. What an outage
  // takes is not counted: each attempt after one has the whole patience again.
  const auto whole = [&] { return call.timeout && call.timeout->count() == 0 ? Deadline::never() : Deadline::after(patience); };
  auto until = whole();
  const auto outage_ends = Deadline::after(outage_);
  const Limits waits{limits.deadline.sooner(outage_ends), limits.cancel};
  Backoff backoff{Milliseconds{50}, Milliseconds{1000}};
  bool renewed = false;
  for (int repeats = 0;; ++repeats) {
    const auto proof = authenticator_.proof(limits);
    const auto http = http_for(proof);
    auto headers = request.secret_headers;
    request.secret_headers.insert(request.secret_headers.end(), proof.headers.begin(), proof.headers.end());
    if (!until.is_never()) request.timeout = std::max(Milliseconds{1}, until.remaining());
    io::HttpResponse response;
    try {
      response = attempt(*http, request);
    } catch (const io::HttpFailure& failure) {
      using Kind = io::HttpFailure::Kind;
      const bool lost = failure.kind() == Kind::connect || failure.kind() == Kind::reset || (failure.kind() == Kind::timeout && !call.timeout);
      if (lost) last_lost_ = std::chrono::steady_clock::now();
      // Nothing was sent where no connection was made.
      const bool safe = may_repeat(call) || failure.kind() == Kind::connect;
      if (!lost || !safe || outage_ends.expired() || !backoff.wait(waits)) explain(failure, call);
      request.secret_headers = std::move(headers);
      until = whole();
      continue;
    }
    request.secret_headers = std::move(headers);
    note_clock(response);
    const int status = response.status;
    if (status < 400) return response;
    if (status == 401 && !std::exchange(renewed, true) && authenticator_.refused(proof)) continue;
    if ((status == 429 || status >= 500) && repeats < most_repeats) {
      const auto pause = parse_retry_after(response.header("retry-after"), parse_http_date(response.header("date")));
      const Limits pauses{limits.deadline.sooner(until), limits.cancel};
      if (pause && (pauses.deadline.is_never() ? *pause <= patience : *pause < pauses.deadline.remaining())) {
        pauses.within(*pause).wait(-1, 0);
        continue;
      }
    }
    // A server that has just started may not know its roles yet.
    const bool forgot = status == 403 && std::chrono::steady_clock::now() - last_lost_.load() < roles_are_known_after;
    if ((passes(status) || forgot) && may_repeat(call) && !outage_ends.expired() && backoff.wait(waits)) {
      until = whole();
      continue;
    }
    if (std::count(call.expected.begin(), call.expected.end(), status) == 0) refuse(response, call);
    return response;
  }
}

io::HttpResponse Client::call(const Call& call, const Limits& limits) {
  return repeat(call, http_request(call),
                [&limits](io::HttpClient& http, const io::HttpRequest& request) { return http.send(request, limits); }, limits);
}

json Client::call_json(const Call& call, const Limits& limits) {
  const auto response = this->call(call, limits);
  auto parsed = json::parse(response.body, nullptr, false);
  if (parsed.is_discarded()) {
    throw Failure{Exit::unavailable, fmt::format("{}: {} answered with something that is not JSON", what_of(call), connection_.server.name),
                  "is there a proxy or a login page in between?"};
  }
  return parsed;
}

std::unique_ptr<io::HttpStream> Client::open(const Call& call, const Limits& limits) {
  std::unique_ptr<io::HttpStream> stream;
  // Bounded up to the head, whatever the rest may last.
  auto bounded = call;
  if (!bounded.timeout) bounded.timeout = options_.patience;
  repeat(bounded, http_request(call),
         [&](io::HttpClient& http, const io::HttpRequest& request) {
           stream = http.open(request, limits);
           auto head = stream->head();
           if (head.status >= 400) {
             const auto soon = limits.within(options_.patience);
             for (auto bytes = stream->read(soon); !bytes.empty() && head.body.size() < largest_refusal; bytes = stream->read(soon)) head.body += bytes;
           }
           return head;
         },
         limits);
  return stream;
}

std::unique_ptr<io::WebSocket> Client::websocket(const Call& call, const std::vector<std::string>& protocols, const Limits& limits) {
  std::unique_ptr<io::Duplex> connection;
  std::string chosen, key;
  auto any = call;
  any.accept = "*/*";  // it reaches the node's own server, which has no JSON to offer
  auto request = http_request(any);
  request.headers.emplace_back("Upgrade", "websocket");
  request.headers.emplace_back("Sec-WebSocket-Version", "13");
  request.headers.emplace_back("Sec-WebSocket-Protocol", fmt::format("{}", fmt::join(protocols, ", ")));
  request.headers.emplace_back("Sec-WebSocket-Key", "");
  // A GET as far as HTTP goes, but it starts something.
  auto once = call;
  once.download = [](std::string_view) {};
  repeat(once, std::move(request),
         [&](io::HttpClient& http, io::HttpRequest fresh) {
           key = io::to_base64(io::random_bytes(16));
           fresh.headers.back().second = key;
           fresh.download = {};
           auto hijacked = http.hijack(fresh, limits);
           connection = std::move(hijacked.stream);
           // A success that is no upgrade is a refusal too.
           if (hijacked.head.status < 400 && hijacked.head.status != 101) {
             throw io::HttpFailure{io::HttpFailure::Kind::protocol, 0, fmt::format("{} answered {} where a WebSocket was asked for", connection_.server.name, hijacked.head.status),
                                   "is there a proxy in between that knows no WebSockets?"};
           }
           if (hijacked.head.status == 101) {
             chosen = hijacked.head.header("sec-websocket-protocol");
             const bool offered = std::find(protocols.begin(), protocols.end(), chosen) != protocols.end();
             if (hijacked.head.header("sec-websocket-accept") != io::websocket_accept(key) || !offered) {
               throw io::HttpFailure{io::HttpFailure::Kind::protocol, 0, fmt::format("{} opened something that is not the WebSocket that was asked for", connection_.server.name)};
             }
           }
           return std::move(hijacked.head);
         },
         limits);
  return std::make_unique<io::WebSocket>(std::move(connection), chosen);
}

}  // namespace codops::engine::kubernetes

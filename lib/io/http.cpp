#include "lib/io/http.hpp"

#include <mutex>

#include "lib/io/http_transfer.hpp"

namespace codops::io {

HttpFailure::HttpFailure(Kind kind, int os_error, std::string message, std::string hint)
    : Failure{Exit::unavailable, std::move(message), std::move(hint)}, kind_{kind}, os_error_{os_error} {}

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string{} : found->second;
}

HttpStream::HttpStream(std::unique_ptr<HttpTransfer> transfer) : transfer_{std::move(transfer)} {}
HttpStream::~HttpStream() = default;

const HttpResponse& HttpStream::head() const { return transfer_->response(); }

std::string_view HttpStream::read(const Limits& limits) {
  // What the last call handed out has been read.
  transfer_->buffer().erase(0, std::exchange(handed_out_, 0));
  if (transfer_->buffer().empty()) transfer_->drive(HttpTransfer::Until::data, limits);
  handed_out_ = transfer_->buffer().size();
  return transfer_->buffer();
}

struct HttpClient::Idle {
  std::mutex mutex;
  std::vector<std::unique_ptr<HttpTransfer>> transfers;
};

HttpClient::HttpClient(HttpServer server) : server_{std::move(server)}, idle_{std::make_unique<Idle>()} {
  while (server_.url.ends_with('/')) server_.url.pop_back();
}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpTransfer> HttpClient::take() {
  const std::lock_guard lock{idle_->mutex};
  if (idle_->transfers.empty()) return std::make_unique<HttpTransfer>();
  auto transfer = std::move(idle_->transfers.back());
  idle_->transfers.pop_back();
  return transfer;
}

void HttpClient::give_back(std::unique_ptr<HttpTransfer> transfer) {
  constexpr std::size_t most_idle = 16;
  transfer->stop();
  const std::lock_guard lock{idle_->mutex};
  if (idle_->transfers.size() < most_idle) idle_->transfers.push_back(std::move(transfer));
}

namespace {

// Drives an exchange, once more on a fresh connection when a kept one turned out to be dead (libcurl 7.88 may reuse
// one that the server has closed).
void exchange(HttpTransfer& transfer, const HttpServer& server, const HttpRequest& request, HttpTransfer::Until until,
              const Limits& limits) {
  transfer.start(server, request, HttpTransfer::Connection::reuse);
  try {
    transfer.drive(until, limits);
  } catch (const HttpFailure& failure) {
    const bool repeatable = request.idempotent || request.method == "GET" || request.method == "HEAD";
    if (failure.kind() != HttpFailure::Kind::reset || !repeatable || request.upload ||
        !transfer.connection_was_reused() || transfer.response().status != 0) {
      throw;
    }
    transfer.start(server, request, HttpTransfer::Connection::fresh);
    transfer.drive(until, limits);
  }
}

}  // namespace

HttpResponse HttpClient::send(const HttpRequest& request, const Limits& limits) {
  limits.check("the request");
  auto transfer = take();
  exchange(*transfer, server_, request, HttpTransfer::Until::end, limits);
  auto response = std::move(transfer->response());
  response.body = std::move(transfer->buffer());
  give_back(std::move(transfer));
  return response;
}

std::unique_ptr<HttpStream> HttpClient::open(const HttpRequest& request, const Limits& limits) {
  limits.check("the request");
  // Not from the idle ones: it may last, and its connection dies with it.
  auto transfer = std::make_unique<HttpTransfer>();
  exchange(*transfer, server_, request, HttpTransfer::Until::head, limits);
  transfer->forget_timeout();
  return std::make_unique<HttpStream>(std::move(transfer));
}

std::string percent_encode(std::string_view text, std::string_view keep) {
  constexpr std::string_view unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    if (unreserved.find(c) != std::string_view::npos || keep.find(c) != std::string_view::npos) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += '%';
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

}  // namespace codops::io

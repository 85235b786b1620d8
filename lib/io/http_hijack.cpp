// The connection that stays after an upgrade: exec and attach with stdin.
#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>

#include "lib/io/http.hpp"
#include "lib/io/http_transfer.hpp"

namespace codops::io {
namespace {

class HijackedConnection final : public Duplex {
 public:
  HijackedConnection(std::unique_ptr<HttpTransfer> transfer, std::string name)
      : transfer_{std::move(transfer)}, name_{std::move(name)} {
    curl_socket_t socket = CURL_SOCKET_BAD;
    ::curl_easy_getinfo(transfer_->easy(), CURLINFO_ACTIVESOCKET, &socket);
    fd_ = socket;
  }

  std::optional<std::size_t> try_read(char* into, std::size_t size) override {
    if (!early_.empty()) {
      const auto count = early_.copy(into, size);
      early_.erase(0, count);
      return count;
    }
    std::size_t count = 0;
    const auto code = ::curl_easy_recv(transfer_->easy(), into, size, &count);
    if (code == CURLE_AGAIN) return std::nullopt;
    if (code != CURLE_OK) fail(code);
    return count;
  }

  std::size_t try_write(std::string_view bytes) override {
    std::size_t count = 0;
    const auto code = ::curl_easy_send(transfer_->easy(), bytes.data(), bytes.size(), &count);
    if (code == CURLE_AGAIN) return 0;
    if (code != CURLE_OK) fail(code);
    return count;
  }

  void end_writing() override {
    curl_tlssessioninfo* tls = nullptr;
    ::curl_easy_getinfo(transfer_->easy(), CURLINFO_TLS_SSL_PTR, &tls);
    if (tls != nullptr && tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals != nullptr) {
      // close_notify is TLS's half-close: the peer reads an end of file and goes on writing.
      ::SSL_shutdown(static_cast<SSL*>(tls->internals));
    } else {
      ::shutdown(fd_, SHUT_WR);
    }
  }

  int fd() const override { return fd_; }

  // Bytes that came in the same packet as the answer's head.
  void put_back(std::string bytes) { early_ = std::move(bytes); }

 private:
  [[noreturn]] void fail(CURLcode code) {
    throw HttpFailure{HttpFailure::Kind::reset, 0,
                      fmt::format("{}: the connection was lost ({})", name_, ::curl_easy_strerror(code))};
  }

  std::unique_ptr<HttpTransfer> transfer_;
  std::string name_;
  std::string early_;
  int fd_{-1};
};

// "https://host:2376/prefix" → "/prefix"
std::string url_prefix(std::string_view url) {
  const auto scheme = url.find("://");
  url.remove_prefix(scheme == std::string_view::npos ? 0 : scheme + 3);
  const auto slash = url.find('/');
  return slash == std::string_view::npos ? std::string{} : std::string{url.substr(slash)};
}

std::string request_head(const HttpServer& server, const HttpRequest& request) {
  std::string head = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n", request.method,
                                 url_prefix(server.url), request.target, url_authority(server.url));
  bool has_upgrade = false;
  for (const auto& [name, value] : request.headers) {
    head += fmt::format("{}: {}\r\n", name, value);
    has_upgrade = has_upgrade || name == "Upgrade";
  }
  if (!has_upgrade) head += "Upgrade: tcp\r\n";
  for (const auto& [name, value] : request.secret_headers) head += fmt::format("{}: {}\r\n", name, value.reveal());
  // A GET that announces even an empty body is refused by some servers.
  if (request.method != "GET" || !request.body.empty()) head += fmt::format("Content-Length: {}\r\n", request.body.size());
  return head + "\r\n";
}

HttpResponse parse_head(std::string_view text) {
  HttpResponse response;
  const auto space = text.find(' ');
  if (!text.starts_with("HTTP/1.") || space == std::string_view::npos) return response;
  std::from_chars(text.data() + space + 1, text.data() + text.size(), response.status);
  while (!text.empty()) {
    const auto end = text.find("\r\n");
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || line.starts_with("HTTP/")) continue;
    std::string name{line.substr(0, colon)};
    for (auto& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    auto value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    response.headers.emplace(std::move(name), value);
  }
  return response;
}

constexpr std::size_t largest_head = 64 * 1024;

// Reads until `enough` says so or the peer ends.
template <typename Enough>
std::string read_until(Duplex& stream, std::string text, const Limits& limits, Enough enough) {
  std::array<char, 4096> chunk;
  while (!enough(text)) {
    const auto count = stream.read(chunk.data(), chunk.size(), limits);
    if (count == 0) break;
    text.append(chunk.data(), count);
    if (text.size() > largest_head) break;
  }
  return text;
}

// The chunks' content; what is not whole is left out.
std::string unchunked(std::string_view text) {
  std::string body;
  for (;;) {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, 16);
    const auto line = text.find("\r\n");
    if (error != std::errc{} || line == std::string_view::npos || size == 0 || text.size() < line + 2 + size) return body;
    body += text.substr(line + 2, size);
    text.remove_prefix(std::min(text.size(), line + 2 + size + 2));
  }
}

// Why the server did not agree.
std::string refusal_body(Duplex& stream, std::string rest, const HttpResponse& head, const Limits& limits) {
  if (head.header("transfer-encoding") == "chunked") {
    return unchunked(read_until(stream, std::move(rest), limits,
                                [](const std::string& body) { return body.ends_with("0\r\n\r\n"); }));
  }
  const auto text = head.header("content-length");
  std::size_t length = text.empty() ? largest_head : 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return read_until(stream, std::move(rest), limits, [length](const std::string& body) { return body.size() >= length; });
}

}  // namespace

Hijacked HttpClient::hijack(const HttpRequest& request, const Limits& limits) {
  auto transfer = std::make_unique<HttpTransfer>();
  transfer->connect(server_, limits);
  const auto name = server_.name.empty() ? redact_url(server_.url) : server_.name;
  auto stream = std::make_unique<HijackedConnection>(std::move(transfer), name);
  const auto bounded = request.timeout.count() > 0 ? limits.within(request.timeout) : limits;
  std::string answer;
  try {
    stream->write(request_head(server_, request) + request.body, bounded);
    answer = read_until(*stream, {}, bounded,
                        [](const std::string& text) { return text.find("\r\n\r\n") != std::string::npos; });
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    throw HttpFailure{HttpFailure::Kind::timeout, 0, fmt::format("{} did not answer", name)};
  }
  const auto end = answer.find("\r\n\r\n");
  if (end == std::string::npos) {
    throw HttpFailure{HttpFailure::Kind::reset, 0, fmt::format("{}: the connection was lost before an answer", name)};
  }
  Hijacked result;
  result.head = parse_head(std::string_view{answer}.substr(0, end));
  auto rest = answer.substr(end + 4);
  if (result.head.status == 101 || result.head.status == 200) {
    stream->put_back(std::move(rest));
    result.stream = std::move(stream);
    return result;
  }
  result.head.body = refusal_body(*stream, std::move(rest), result.head, bounded);
  return result;
}

}  // namespace codops::io

#pragma once
// HTTP/1.1 to one server over TCP, TLS or a Unix socket; the only place that knows libcurl. Connections are kept and
// reused; every wait ends within milliseconds of cancellation and deadline. Certificates are always verified.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/secret.hpp"
#include "lib/io/bytes.hpp"
#include "lib/io/duplex.hpp"

namespace codops::io {

// Where both a file and text may say the same thing, the text wins. Without a CA the system's are trusted; with one,
// only that.
struct HttpTls {
  std::string ca_file;
  std::string ca_pem;
  std::string cert_file;
  std::string key_file;
  std::string cert_pem;
  Secret key_pem;
};

struct HttpServer {
  std::string url;          // "https://host:2376", may end with a path; for a Unix socket "http://localhost"
  std::string unix_socket;  // a path of at most 107 bytes; empty: TCP
  HttpTls tls;
  std::string name;         // how messages call it; empty: the url, credentials hidden
  std::string tls_name;     // the name that the certificate must have; empty: the url's host
  // "http://user:password@proxy:3128", "socks5h://…"; empty: none; unset: what the environment says.
  std::optional<std::string> proxy;
  Milliseconds connect_timeout{10'000};
};

struct HttpRequest {
  std::string method{"GET"};
  std::string target{"/"};  // path and query, percent-encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, Secret>> secret_headers;
  std::string body;
  ByteSource upload;                          // instead of `body`; chunked unless its size is known
  std::optional<std::uint64_t> upload_size;
  ByteSink download;                          // takes the body of a 2xx answer; another's is in HttpResponse::body
  bool idempotent{false};                     // may be sent again after a lost connection; GET and HEAD always may
  Milliseconds timeout{30'000};               // for the whole exchange, on top of Limits; zero: none
  Milliseconds inactivity{0};                 // longest silence in either direction; zero: any
};

struct HttpResponse {
  int status{};
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;

  bool ok() const noexcept { return status >= 200 && status < 300; }
  std::string header(const std::string& name) const;  // empty when absent
};

// No answer, or half of one. An answer with an error status is not a failure at this level.
class HttpFailure : public Failure {
 public:
  // timeout: the request's own limits; Limits' deadline is Failure{Exit::deadline}.
  enum class Kind { resolve, connect, tls, timeout, reset, protocol };
  HttpFailure(Kind kind, int os_error, std::string message, std::string hint = {});

  Kind kind() const noexcept { return kind_; }
  int os_error() const noexcept { return os_error_; }  // errno of a failed connect, else 0

 private:
  Kind kind_;
  int os_error_;
};

class HttpTransfer;

// An answer whose body arrives while somebody asks for it: events, watches, logs.
class HttpStream {
 public:
  explicit HttpStream(std::unique_ptr<HttpTransfer> transfer);
  ~HttpStream();
  const HttpResponse& head() const;
  // The next bytes, valid until the next call; empty at the end. A server that vanished is HttpFailure{reset}.
  std::string_view read(const Limits& limits);

 private:
  std::unique_ptr<HttpTransfer> transfer_;
  std::size_t handed_out_{};
};

struct Hijacked {
  HttpResponse head;               // `body` is filled when the server refused
  std::unique_ptr<Duplex> stream;  // set when it agreed (101 or 200)
};

// May be used by several threads at once: each exchange has a connection of its own while it lasts.
class HttpClient {
 public:
  explicit HttpClient(HttpServer server);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  HttpResponse send(const HttpRequest& request, const Limits& limits);
  // Returns once the answer's head is there; `timeout` covers that much, `inactivity` the rest.
  std::unique_ptr<HttpStream> open(const HttpRequest& request, const Limits& limits);
  // Sends the request with its Upgrade header, else "Upgrade: tcp", and hands over the connection.
  Hijacked hijack(const HttpRequest& request, const Limits& limits);

  const HttpServer& server() const noexcept { return server_; }

 private:
  std::unique_ptr<HttpTransfer> take();
  void give_back(std::unique_ptr<HttpTransfer> transfer);

  HttpServer server_;
  struct Idle;
  std::unique_ptr<Idle> idle_;
};

// RFC 3986: everything but unreserved characters becomes %XX; `keep` names others to leave alone ("/").
std::string percent_encode(std::string_view text, std::string_view keep = {});

}  // namespace codops::io

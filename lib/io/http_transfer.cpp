#include "lib/io/http_transfer.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "lib/base/ascii.hpp"
#include "lib/io/files.hpp"
#include "lib/io/tls_certificates.hpp"

namespace codops::io {
namespace {

// As Go's programs (docker, kubectl) have it: the environment's proxy is never asked for what this machine itself serves.
bool is_of_this_machine(std::string_view url) {
  const auto scheme = url.find("://");
  const auto rest = url.substr(scheme == std::string_view::npos ? 0 : scheme + 3);
  const auto host = rest.substr(0, rest.find_first_of("/?#"));
  return host.starts_with("127.") || host.starts_with("[::1]") || host == "localhost" || host.starts_with("localhost:");
}

constexpr std::size_t unix_path_limit = 107;  // sizeof(sockaddr_un::sun_path) - 1

void start_curl_once() {
  static const CURLcode started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw Failure{Exit::bug, "libcurl does not start"};
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string shown_name(const HttpServer& server) {
  if (!server.name.empty()) return server.name;
  return server.unix_socket.empty() ? redact_url(server.url) : server.unix_socket;
}

HttpFailure::Kind classify(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return HttpFailure::Kind::resolve;
    case CURLE_COULDNT_CONNECT:
      return HttpFailure::Kind::connect;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFailure::Kind::timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
      return HttpFailure::Kind::tls;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
      return HttpFailure::Kind::reset;
    default:
      return HttpFailure::Kind::protocol;
  }
}

void set_blob(CURL* easy, CURLoption option, const std::string& text) {
  curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
  ::curl_easy_setopt(easy, option, &blob);
}

void set_tls(CURL* easy, const HttpTls& tls) {
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!tls.ca_pem.empty() || !tls.ca_file.empty()) {
    // Otherwise the distribution's default directory stays trusted beside the given authority.
    ::curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    if (tls.ca_pem.empty()) {
      ::curl_easy_setopt(easy, CURLOPT_CAINFO, tls.ca_file.c_str());
    } else {
      set_blob(easy, CURLOPT_CAINFO_BLOB, tls.ca_pem);
    }
  }
  if (!tls.cert_pem.empty()) {
    set_blob(easy, CURLOPT_SSLCERT_BLOB, tls.cert_pem);
  } else if (!tls.cert_file.empty()) {
    ::curl_easy_setopt(easy, CURLOPT_SSLCERT, tls.cert_file.c_str());
  }
  if (!tls.key_pem.empty()) {
    set_blob(easy, CURLOPT_SSLKEY_BLOB, tls.key_pem.reveal());
  } else if (!tls.key_file.empty()) {
    ::curl_easy_setopt(easy, CURLOPT_SSLKEY, tls.key_file.c_str());
  }
  // With none OpenSSL would ask for one on the terminal, and everything would wait.
  ::curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
}

// How a message calls a client key that only a passphrase opens; empty: it is none.
std::string encrypted_key(const HttpTls& tls) {
  if (!tls.key_pem.empty()) return is_encrypted_key(tls.key_pem.reveal()) ? "the client key" : "";
  const auto& file = tls.key_file.empty() ? tls.cert_file : tls.key_file;
  if (file.empty()) return {};
  try {
    const auto pem = read_file_if_there(file);
    return pem && is_encrypted_key(*pem) ? fmt::format("the client key \"{}\"", file) : "";
  } catch (const Failure&) {
    return {};
  }
}

}  // namespace

std::string url_authority(std::string_view url) {
  const auto scheme = url.find("://");
  url.remove_prefix(scheme == std::string_view::npos ? 0 : scheme + 3);
  auto authority = url.substr(0, url.find('/'));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  return std::string{authority};
}

HttpTransfer::HttpTransfer() {
  start_curl_once();
  easy_ = ::curl_easy_init();
  multi_ = ::curl_multi_init();
  if (easy_ == nullptr || multi_ == nullptr) throw Failure{Exit::bug, "libcurl has no memory"};
}

HttpTransfer::~HttpTransfer() {
  stop();
  ::curl_easy_cleanup(easy_);
  ::curl_multi_cleanup(multi_);
}

void HttpTransfer::stop() noexcept {
  if (added_) ::curl_multi_remove_handle(multi_, easy_);
  added_ = false;
  ::curl_slist_free_all(std::exchange(headers_, nullptr));
  ::curl_slist_free_all(std::exchange(connect_to_, nullptr));
}

void HttpTransfer::set_server(const HttpServer& server) {
  stop();
  server_ = &server;
  response_ = {};
  buffer_.clear();
  thrown_ = lost_ = nullptr;
  head_complete_ = finished_ = connect_only_ = false;
  error_[0] = '\0';
  if (server.unix_socket.size() > unix_path_limit) {
    throw Failure{Exit::config, fmt::format("the socket's path is longer than {} bytes: \"{}\"", unix_path_limit,
                                            server.unix_socket)};
  }
  ::curl_easy_reset(easy_);
  ::curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  ::curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  ::curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(server.connect_timeout.count()));
  ::curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 65536L);
  // A peer that vanished without a word is noticed within a minute, also where nothing is being sent.
  ::curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, 20L);
  ::curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, 10L);
  if (server.proxy) ::curl_easy_setopt(easy_, CURLOPT_PROXY, server.proxy->c_str());
  else if (is_of_this_machine(server.url)) ::curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  if (!server.unix_socket.empty()) {
    ::curl_easy_setopt(easy_, CURLOPT_UNIX_SOCKET_PATH, server.unix_socket.c_str());
    ::curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  }
  set_tls(easy_, server.tls);
  last_activity_ = std::chrono::steady_clock::now();
}

void HttpTransfer::set_url(const HttpServer& server, const std::string& target) {
  if (server.tls_name.empty()) {
    ::curl_easy_setopt(easy_, CURLOPT_URL, (server.url + target).c_str());
    return;
  }
  // libcurl takes SNI and the certificate's name from the URL: that has the name, and the connection goes elsewhere.
  const auto authority = url_authority(server.url);
  const auto scheme = server.url.substr(0, server.url.find("://") + 3);
  const auto rest = server.url.substr(server.url.find(authority, scheme.size()) + authority.size());
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  const auto host = has_port ? authority.substr(0, colon) : authority;
  const std::string port = has_port ? authority.substr(colon + 1) : "443";
  ::curl_easy_setopt(easy_, CURLOPT_URL, fmt::format("{}{}:{}{}{}", scheme, server.tls_name, port, rest, target).c_str());
  connect_to_ = ::curl_slist_append(connect_to_, fmt::format("::{}:{}", host, port).c_str());
  ::curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
}

void HttpTransfer::set_body() {
  if (request_.upload) {
    ::curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
    ::curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &HttpTransfer::on_upload);
    ::curl_easy_setopt(easy_, CURLOPT_READDATA, this);
    if (request_.upload_size) {
      ::curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(*request_.upload_size));
    }
  } else if (!request_.body.empty() || request_.method == "POST" || request_.method == "PUT") {
    ::curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.c_str());
    ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  } else if (request_.method == "HEAD") {
    ::curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  }
  if (request_.method != "HEAD") ::curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void HttpTransfer::start(const HttpServer& server, const HttpRequest& request, Connection connection) {
  set_server(server);
  request_ = request;
  timeout_ = request.timeout.count() > 0 ? Deadline::after(request.timeout) : Deadline::never();
  set_url(server, request_.target);
  ::curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
  // A source can't be rewound, so a connection that died while idle would lose the request.
  if (connection == Connection::fresh || request_.upload) ::curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
  set_body();
  bool has_content_type = false;
  const auto add_header = [&](const std::string& name, const std::string& value) {
    if (value.find_first_of("\r\n") != std::string::npos) {
      throw Failure{Exit::bug, fmt::format("header \"{}\" has a line break", name)};
    }
    has_content_type = has_content_type || ascii_lower(name) == "content-type";
    headers_ = ::curl_slist_append(headers_, fmt::format("{}: {}", name, value).c_str());
  };
  for (const auto& [name, value] : request_.headers) add_header(name, value);
  for (const auto& [name, value] : request_.secret_headers) add_header(name, value.reveal());
  headers_ = ::curl_slist_append(headers_, "Expect:");
  if (!server.tls_name.empty()) add_header("Host", url_authority(server.url));
  if (!has_content_type) headers_ = ::curl_slist_append(headers_, "Content-Type:");
  ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &HttpTransfer::on_header);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &HttpTransfer::on_body);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  ::curl_multi_add_handle(multi_, easy_);
  added_ = true;
}

void HttpTransfer::connect(const HttpServer& server, const Limits& limits) {
  set_server(server);
  request_ = {};
  connect_only_ = true;
  timeout_ = Deadline::after(server.connect_timeout);
  set_url(server, {});
  ::curl_easy_setopt(easy_, CURLOPT_CONNECT_ONLY, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_HTTPPROXYTUNNEL, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
  ::curl_multi_add_handle(multi_, easy_);
  added_ = true;
  drive(Until::end, limits);
}

bool HttpTransfer::reached(Until until) const {
  if (until == Until::head && head_complete_) return true;
  if (until == Until::data && !buffer_.empty()) return true;
  // What came before the end is handed out before the end is told.
  if (lost_) std::rethrow_exception(lost_);
  return finished_;
}

void HttpTransfer::step() {
  int running = 0;
  ::curl_multi_perform(multi_, &running);
  if (thrown_) {
    stop();
    std::rethrow_exception(std::exchange(thrown_, nullptr));
  }
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    try {
      if (message->data.result != CURLE_OK) fail(message->data.result);
      // libcurl takes a connection that ends inside the head for an answer without a body.
      if (!connect_only_ && !head_complete_) fail(CURLE_GOT_NOTHING);
      finished_ = true;
    } catch (const HttpFailure&) {
      lost_ = std::current_exception();
    }
  }
}

void HttpTransfer::check(const Limits& limits) {
  limits.check(fmt::format("waiting for {}", shown_name(*server_)));
  if (timeout_.expired()) {
    throw HttpFailure{HttpFailure::Kind::timeout, 0,
                      fmt::format("{} did not answer within {:.1f} s", shown_name(*server_),
                                  static_cast<double>((connect_only_ ? server_->connect_timeout : request_.timeout).count()) / 1000)};
  }
  if (request_.inactivity.count() > 0 && Deadline::at(last_activity_ + request_.inactivity).expired()) {
    throw HttpFailure{HttpFailure::Kind::timeout, 0,
                      fmt::format("{} has been silent for {:.1f} s", shown_name(*server_),
                                  static_cast<double>(request_.inactivity.count()) / 1000)};
  }
}

int HttpTransfer::pause(const Limits& limits) const {
  auto deadline = limits.deadline.sooner(timeout_);
  if (request_.inactivity.count() > 0) deadline = deadline.sooner(Deadline::at(last_activity_ + request_.inactivity));
  constexpr int longest = 60'000;
  return deadline.is_never() ? longest : std::min(longest, deadline.poll_timeout());
}

void HttpTransfer::drive(Until until, const Limits& limits) {
  for (;;) {
    step();
    if (reached(until)) return;
    check(limits);
    curl_waitfd cancelled{limits.cancel.fd(), CURL_WAIT_POLLIN, 0};
    ::curl_multi_poll(multi_, &cancelled, cancelled.fd < 0 ? 0 : 1, pause(limits), nullptr);
  }
}

bool HttpTransfer::connection_was_reused() const {
  long connects = 0;
  ::curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &connects);
  return connects == 0;
}

void HttpTransfer::fail(int code) {
  const auto curl_code = static_cast<CURLcode>(code);
  long os_error = 0;
  ::curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &os_error);
  const auto kind = classify(curl_code);
  std::string why = error_[0] != '\0' ? std::string{trim(error_)} : ::curl_easy_strerror(curl_code);
  if (kind == HttpFailure::Kind::connect && os_error != 0) why = std::strerror(static_cast<int>(os_error));
  if (kind == HttpFailure::Kind::reset) {
    why = response_.status == 0 ? "the connection was lost before an answer"
                                : "the connection was lost in the middle of the answer";
  }
  if (const auto key = kind == HttpFailure::Kind::tls ? encrypted_key(server_->tls) : std::string{}; !key.empty()) {
    throw HttpFailure{kind, 0, fmt::format("{}: {} is encrypted, and nothing here knows its passphrase", shown_name(*server_), key),
                      decrypt_hint(server_->tls.key_file.empty() ? "KEY" : server_->tls.key_file)};
  }
  const char* verb = kind == HttpFailure::Kind::connect ? " does not answer" : "";
  throw HttpFailure{kind, static_cast<int>(os_error), fmt::format("{}{}: {}", shown_name(*server_), verb, why)};
}

std::size_t HttpTransfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  const std::string_view line{data, size * count};
  transfer.last_activity_ = std::chrono::steady_clock::now();
  if (line.starts_with("HTTP/")) {
    transfer.response_ = {};
    const auto space = line.find(' ');
    if (space != std::string_view::npos) {
      std::from_chars(line.data() + space + 1, line.data() + line.size(), transfer.response_.status);
    }
  } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    transfer.response_.headers.emplace(ascii_lower(line.substr(0, colon)), trim(line.substr(colon + 1)));
  } else if (trim(line).empty()) {
    transfer.head_complete_ = transfer.response_.status >= 200;  // 1xx precedes the real answer
  }
  return line.size();
}

std::size_t HttpTransfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  const std::string_view bytes{data, size * count};
  transfer.last_activity_ = std::chrono::steady_clock::now();
  if (bytes.empty()) return 0;
  try {
    if (transfer.request_.download && transfer.response_.ok()) {
      transfer.request_.download(bytes);
    } else {
      transfer.buffer_.append(bytes);
    }
  } catch (...) {
    transfer.thrown_ = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return bytes.size();
}

std::size_t HttpTransfer::on_upload(char* into, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  transfer.last_activity_ = std::chrono::steady_clock::now();
  try {
    return transfer.request_.upload(into, size * count);
  } catch (...) {
    transfer.thrown_ = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

}  // namespace codops::io

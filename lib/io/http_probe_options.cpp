// What curl is told of one request, and what it tells while it runs.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

#include "lib/base/ascii.hpp"
#include "lib/io/http_probe_transfer.hpp"

namespace codops::io {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::string_view{" \t\r\n"}.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

}  // namespace

void HttpProber::Transfer::set_options(const std::vector<Address>& addresses) {
  ::curl_easy_setopt(easy_, CURLOPT_PRIVATE, reinterpret_cast<char*>(this));
  ::curl_easy_setopt(easy_, CURLOPT_URL, url_.c_str());
  ::curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  ::curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  ::curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  // Hundreds are in flight, and an answer of a health check is small.
  ::curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 1024L);
  ::curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
  ::curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT, 86400L);  // the caller has the clock
  ::curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_socket);
  ::curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  if (request_.method == "HEAD") {
    ::curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else {
    if (!request_.body.empty()) {
      ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE, static_cast<long>(request_.body.size()));
      ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.c_str());
    }
    if (request_.method != "GET" || !request_.body.empty()) {
      ::curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
  }
  switch (request_.version) {
    case HttpProbeRequest::Version::automatic: break;
    case HttpProbeRequest::Version::http1:
      ::curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
      break;
    case HttpProbeRequest::Version::http2:
      ::curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
      break;
    case HttpProbeRequest::Version::http2_prior_knowledge:
      ::curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
      break;
  }
  if (const auto* other = via(); other != nullptr && !other->unix_socket.empty()) {
    ::curl_easy_setopt(easy_, CURLOPT_UNIX_SOCKET_PATH, other->unix_socket.c_str());
    return;
  }
  connect_to(addresses);
}

// curl is told where to go, so that it never starts a lookup of its own.
void HttpProber::Transfer::connect_to(const std::vector<Address>& addresses) {
  const auto* other = via();
  const HostPort target{other != nullptr ? other->host : parts_.host,
                        other != nullptr && other->port != 0 ? other->port : parts_.port};
  if (numeric_addresses(target.host).empty()) {
    std::string list;
    for (const auto& address : addresses) {
      list += (list.empty() ? "" : ",") + to_string(HostPort{to_string(address), 0});
    }
    resolve_ = ::curl_slist_append(resolve_, fmt::format("{}:{}:{}", target.host, target.port, list).c_str());
    ::curl_easy_setopt(easy_, CURLOPT_RESOLVE, resolve_);
  }
  if (other != nullptr) {
    connect_to_ = ::curl_slist_append(connect_to_, ("::" + to_string(target)).c_str());
    ::curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  }
}

// The origin that the user named; its own upgrade to TLS counts as the same.
bool HttpProber::Transfer::is_home() const {
  if (parts_.host != first_.host) return false;
  if (parts_.port == first_.port && parts_.scheme == first_.scheme) return true;
  return first_.scheme == "http" && first_.port == 80 && parts_.scheme == "https" && parts_.port == 443;
}

void HttpProber::Transfer::set_identity() {
  const bool at_home = is_home();
  bool has_agent = false;
  for (const auto& [name, value] : request_.headers) {
    // What the user gave for one host is nobody else's business.
    if (!at_home) continue;
    has_agent = has_agent || ascii_lower(name) == "user-agent";
    headers_ = ::curl_slist_append(headers_, (name + (value.empty() ? ";" : ": " + value.reveal())).c_str());
  }
  if (!has_agent) ::curl_easy_setopt(easy_, CURLOPT_USERAGENT, "codops-health-check");
  if (headers_ != nullptr) ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  if (at_home && !(user_.empty() && password_.empty())) {
    ::curl_easy_setopt(easy_, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    ::curl_easy_setopt(easy_, CURLOPT_USERNAME, user_.c_str());
    ::curl_easy_setopt(easy_, CURLOPT_PASSWORD, password_.c_str());
  }
  if (parts_.scheme != "https") return;
  alerts_.reset();
  verification_ = {};
  verification_.host = parts_.host;
  verification_.insecure = request_.trust.insecure;
  if (request_.trust.insecure) {
    ::curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
    ::curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  // The store comes from on_ssl_context: curl would read the files again for every connection.
  ::curl_easy_setopt(easy_, CURLOPT_CAINFO, nullptr);
  ::curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  ::curl_easy_setopt(easy_, CURLOPT_SSL_CTX_FUNCTION, &Transfer::on_ssl_context);
  ::curl_easy_setopt(easy_, CURLOPT_SSL_CTX_DATA, this);
}

// curl does not tell why socket(2) failed: too many open files must not look like a refusal.
curl_socket_t HttpProber::Transfer::on_socket(void* self, curlsocktype, curl_sockaddr* address) {
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) static_cast<Transfer*>(self)->socket_error_ = errno;
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

CURLcode HttpProber::Transfer::on_ssl_context(CURL*, void* context, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.tls_start_ = std::chrono::steady_clock::now();
  auto* ssl_context = static_cast<SSL_CTX*>(context);
  try {
    verify_with(ssl_context, transfer.multi_.stores.get(transfer.request_.trust.ca_file), transfer.verification_);
    // With verification off curl asks for none; ours still looks, and lets it pass.
    ::SSL_CTX_set_verify(ssl_context, SSL_VERIFY_PEER, nullptr);
    transfer.alerts_ = listen_for_alerts(ssl_context, transfer.verification_);
    // Not by CURLOPT_SSLKEY: OpenSSL would ask for the passphrase of an encrypted key on the terminal.
    if (transfer.is_home()) present_certificate(ssl_context, transfer.multi_.stores, transfer.request_.trust, transfer.verification_);
    return CURLE_OK;
  } catch (const Failure& failure) {
    ProbeResult trouble;
    trouble.trouble = Trouble::unknown;
    trouble.stage = Stage::tls;
    trouble.message = failure.message();
    trouble.hint = failure.hint();
    transfer.setup_trouble_ = std::move(trouble);
    return CURLE_SSL_CACERT_BADFILE;
  }
}

std::size_t HttpProber::Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const auto line = trimmed({data, size * count});
  if (line.starts_with("HTTP/")) {
    transfer.result_.headers.clear();  // an interim response went before
    transfer.result_.is_json = false;
    const auto status = line.substr(std::min(line.find(' ') + 1, line.size()));
    transfer.interim_ = status.starts_with('1') && !status.starts_with("101");
    transfer.in_headers_ = true;
  } else if (line.empty()) {
    if (transfer.in_headers_) transfer.framing_conflict_ = framing_conflict(transfer.result_.headers);
    transfer.in_headers_ = transfer.interim_;
    if (!transfer.framing_conflict_.empty()) return 0;
  } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    auto name = ascii_lower(line.substr(0, colon));
    if (name == "content-type") {
      const auto type = ascii_lower(line.substr(colon + 1));
      transfer.result_.is_json = type.find("application/json") != std::string::npos || type.find("+json") != std::string::npos;
    }
    transfer.result_.headers.emplace_back(std::move(name), std::string{trimmed(line.substr(colon + 1))});
  }
  // Interim responses count too: a server may send them without end.
  transfer.header_bytes_ += size * count;
  return transfer.header_bytes_ <= most_header_bytes ? size * count : 0;
}

std::size_t HttpProber::Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& result = static_cast<Transfer*>(self)->result_;
  const auto& request = static_cast<Transfer*>(self)->request_;
  const auto bytes = size * count;
  const auto keep = result.is_json ? std::max(request.keep_body, request.keep_json) : request.keep_body;
  const auto room = keep - std::min(keep, result.body.size());
  result.body.append(data, std::min(room, bytes));
  result.body_bytes += bytes;
  if (result.body_bytes <= request.read_body) return bytes;
  result.body_cut = true;
  return 0;
}

}  // namespace codops::io

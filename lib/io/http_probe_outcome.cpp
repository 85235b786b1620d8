// How a request ended: the next hop, the answer, or the trouble and its stage.
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>

#include "lib/base/ascii.hpp"
#include "lib/io/http_probe_transfer.hpp"

namespace codops::io {
namespace {

using Duration = StageTimes::Duration;

Duration time_of(CURL* easy, CURLINFO what) {
  curl_off_t value = 0;
  ::curl_easy_getinfo(easy, what, &value);
  return Duration{value};
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

ProbeResult trouble_at(Stage stage, std::string message, std::string hint, Trouble trouble = Trouble::failed) {
  ProbeResult result;
  result.trouble = trouble;
  result.stage = stage;
  result.message = std::move(message);
  result.hint = std::move(hint);
  return result;
}

}  // namespace

std::string framing_conflict(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::optional<std::string_view> length;
  bool chunked = false;
  for (const auto& [name, value] : headers) {
    if (name == "transfer-encoding") chunked = chunked || ascii_lower(value).find("chunked") != std::string::npos;
    if (name != "content-length") continue;
    // The same one twice is no contradiction, neither as two headers nor as a list.
    for (std::string_view rest{value}; !rest.empty();) {
      const auto end = std::min(rest.find(','), rest.size());
      auto one = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      while (one.starts_with(' ')) one.remove_prefix(1);
      while (one.ends_with(' ')) one.remove_suffix(1);
      if (length && *length != one) return fmt::format("the headers contradict each other: Content-Length is {} and {}", length->substr(0, 40), one.substr(0, 40));
      length = one;
    }
  }
  if (length && chunked) return "the headers contradict each other: both Content-Length and Transfer-Encoding say where the body ends";
  return {};
}

Stage HttpProber::Transfer::stage() const {
  if (connector_) return connector_->stage();
  if (looking_up_ || (easy_ == nullptr && hops_ == 0)) return Stage::dns;
  if (easy_ == nullptr) return Stage::request;
  const auto connected = time_of(easy_, CURLINFO_CONNECT_TIME_T);
  if (connected == Duration{0} && !tls_start_) return Stage::connect;
  if (parts_.scheme == "https" && time_of(easy_, CURLINFO_APPCONNECT_TIME_T) == Duration{0}) return Stage::tls;
  return in_headers_ ? Stage::request : Stage::body;
}

StageTimes HttpProber::Transfer::times() const {
  auto out = result_.times;
  if (in_multi_) take_times(out);
  return out;
}

std::string HttpProber::Transfer::address() const {
  char* ip = nullptr;
  long port = 0;
  if (easy_ != nullptr) {
    ::curl_easy_getinfo(easy_, CURLINFO_PRIMARY_IP, &ip);
    ::curl_easy_getinfo(easy_, CURLINFO_PRIMARY_PORT, &port);
  }
  if (ip == nullptr || *ip == '\0') return {};
  return to_string(HostPort{ip, static_cast<std::uint16_t>(port)});
}

void HttpProber::Transfer::take_times(StageTimes& into) const {
  const auto connected = tls_start_ ? std::chrono::duration_cast<Duration>(*tls_start_ - hop_start_)
                                    : time_of(easy_, CURLINFO_CONNECT_TIME_T);
  const auto secured = time_of(easy_, CURLINFO_APPCONNECT_TIME_T);
  const auto first_byte = time_of(easy_, CURLINFO_STARTTRANSFER_TIME_T);
  const auto total = time_of(easy_, CURLINFO_TOTAL_TIME_T);
  if (connected == Duration{0}) return;
  into.add(Stage::connect, connected);
  if (secured != Duration{0}) into.add(Stage::tls, std::max(Duration{0}, secured - connected));
  if (first_byte == Duration{0}) return;
  into.add(Stage::request, std::max(Duration{0}, first_byte - std::max(connected, secured)));
  if (!in_headers_) into.add(Stage::body, std::max(Duration{0}, total - first_byte));
}

void HttpProber::Transfer::ended(CURLcode code) {
  if (verification_.facts.verified || verification_.insecure) {
    result_.tls = verification_.facts;
    result_.tls->misses_certificate = verification_.certificate_wanted && !verification_.certificate_given;
  }
  result_.address = address();
  take_times(result_.times);
  ::curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &result_.status);
  long version = 0;
  ::curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  result_.version = version == CURL_HTTP_VERSION_2_0 ? "2" : version == CURL_HTTP_VERSION_1_0 ? "1.0" : "1.1";

  auto half = half_an_answer(code);
  if (half || (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && result_.body_cut))) {
    auto trouble = half ? std::move(*half) : explain(code);
    trouble.times = result_.times;
    trouble.address = result_.address;
    if (!trouble.tls) trouble.tls = result_.tls;
    static_cast<ProbeResult&>(result_) = std::move(trouble);
    return finish();
  }
  if (const auto next = redirect_target()) {
    leave_multi();
    ::curl_easy_cleanup(easy_);
    easy_ = nullptr;
    free_lists();
    result_.body.clear();
    result_.body_bytes = 0;
    result_.body_cut = false;
    ++hops_;
    return begin_hop(*next);
  }
  if (done_) finish();
}

std::optional<std::string> HttpProber::Transfer::redirect_target() {
  if (request_.redirects == HttpProbeRequest::Redirects::keep || !is_redirect(result_.status)) return std::nullopt;
  char* location = nullptr;
  ::curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &location);
  if (location == nullptr) return std::nullopt;
  const std::string next{location};
  const auto from = parts_;
  if (hops_ >= request_.max_redirects) {
    fail(Stage::status, Trouble::failed, fmt::format("{} redirects without an answer, the last to {}", hops_ + 1, shown_url(next)),
         "the server redirects in a loop; behind a proxy check X-Forwarded-Proto");
    return std::nullopt;
  }
  const auto scheme_end = next.find("://");
  if (from.scheme == "https" && next.substr(0, scheme_end) != "https") {
    fail(Stage::status, Trouble::failed, "the redirect from https to " + shown_url(next) + " is refused: it leaves TLS",
         "let the server redirect to https, or check the http URL itself");
    return std::nullopt;
  }
  if (request_.redirects == HttpProbeRequest::Redirects::same_host) {
    const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> parsed{::curl_url(), &::curl_url_cleanup};
    char* host = nullptr;
    ::curl_url_set(parsed.get(), CURLUPART_URL, next.c_str(), 0);
    ::curl_url_get(parsed.get(), CURLUPART_HOST, &host, 0);
    const std::string next_host = host == nullptr ? "" : host;
    ::curl_free(host);
    if (next_host != from.host) {
      fail(Stage::status, Trouble::failed, "the redirect to another host, " + shown_url(next) + ", is refused",
           "check that URL, or allow it: --redirects follow, in codops.yaml follow_redirects: true");
      return std::nullopt;
    }
  }
  return next;
}

// What curl takes for an answer, or names so that nobody would think of the server.
std::optional<ProbeResult> HttpProber::Transfer::half_an_answer(CURLcode code) const {
  if (!framing_conflict_.empty()) {
    return trouble_at(Stage::status, framing_conflict_,
                      "a proxy may read another length than the application (request smuggling): send one Content-Length, or only Transfer-Encoding");
  }
  if ((code == CURLE_OK || code == CURLE_PARTIAL_FILE) && in_headers_) {
    return trouble_at(Stage::request, "the answer ended in the middle of its headers", "check the server's log: it closed the connection too early");
  }
  // No more than so much of a line does curl hold; from 8.6 on it has a code for that.
  constexpr int too_large = 100;
  const bool answering = in_headers_ && time_of(easy_, CURLINFO_STARTTRANSFER_TIME_T) != Duration{0};
  if (code == too_large || (code == CURLE_OUT_OF_MEMORY && answering)) {
    return trouble_at(Stage::request, fmt::format("a line of the headers is longer than {} KB, or Transfer-Encoding is one that codops can't read", CURL_MAX_HTTP_HEADER >> 10U),
                      "check what answers there: " + to_string(HostPort{parts_.host, parts_.port}));
  }
  return std::nullopt;
}

ProbeResult HttpProber::Transfer::explain(CURLcode code) const {
  if (setup_trouble_) return *setup_trouble_;
  if (auto refused = refused_certificate(verification_)) return *std::move(refused);
  const auto wants = certificate_hint(verification_);
  const auto or_certificate = [&](std::string hint) { return wants.empty() ? std::move(hint) : wants; };
  const auto where = to_string(HostPort{parts_.host, parts_.port});
  const std::string or_tls = parts_.scheme == "http" ? "; where it speaks TLS the URL begins with https://" : "";
  long os_error = 0;
  ::curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &os_error);
  const std::string said = error_[0] != '\0' ? error_ : ::curl_easy_strerror(code);
  if (os_error == 0) os_error = socket_error_;
  if (socket_error_ == EMFILE || socket_error_ == ENFILE) return connect_trouble(socket_error_, where);
  if (header_bytes_ > most_header_bytes) {
    return trouble_at(Stage::request, fmt::format("the headers are longer than {} KB", most_header_bytes >> 10U), "check what answers there: " + where);
  }
  switch (code) {
    case CURLE_COULDNT_CONNECT: {
      const auto* other = via();
      if (other != nullptr && !other->unix_socket.empty()) {
        return connect_trouble(os_error == 0 ? ENOENT : static_cast<int>(os_error), other->unix_socket);
      }
      return connect_trouble(os_error == 0 ? ECONNREFUSED : static_cast<int>(os_error),
                             result_.address.empty() ? where : result_.address);
    }
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
      if (verification_.error != 0) {
        return verification_trouble(verification_,
                                    std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now()));
      }
      return trouble_at(Stage::tls, "the TLS handshake failed: " + said, or_certificate("check that the port speaks TLS, and its versions"));
    case CURLE_PARTIAL_FILE:
      return trouble_at(Stage::body, fmt::format("the body ended early, after {} bytes{}", result_.body_bytes,
                                                 result_.header("content-length") != nullptr      ? ": Content-Length says more"
                                                 : result_.header("transfer-encoding") != nullptr ? ": its last chunk did not come"
                                                                                                  : ""),
                        "check the server's log: it closed in the middle of the answer");
    case CURLE_GOT_NOTHING:
      return trouble_at(Stage::request, "the server closed the connection without an answer", or_certificate("check the server's log" + or_tls));
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return trouble_at(stage(), "the connection broke: " + said, or_certificate("check the server's log"));
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return trouble_at(Stage::request, "what answers does not speak HTTP", "check the port: " + where + or_tls);
    case CURLE_OUT_OF_MEMORY:
      return trouble_at(stage(), "no memory for the request", "--parallel 16", Trouble::busy);
    default: return trouble_at(stage(), said, "");
  }
}

void HttpProber::Transfer::fail(Stage at, Trouble trouble, std::string message, std::string hint) {
  result_.trouble = trouble;
  result_.stage = at;
  result_.message = std::move(message);
  result_.hint = std::move(hint);
  finish();
}

void HttpProber::Transfer::finish() {
  leave_multi();
  const auto done = std::exchange(done_, {});
  done(result_);
}

void HttpProber::Transfer::leave_multi() noexcept {
  if (in_multi_) ::curl_multi_remove_handle(multi_.handle, easy_);
  in_multi_ = false;
}

}  // namespace codops::io

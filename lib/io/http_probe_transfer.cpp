// The hops of one probe: where each leads, and the address that is asked.
#include "lib/io/http_probe_transfer.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace codops::io {
namespace {

using Duration = StageTimes::Duration;

std::string take_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (::curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string out{text};
  ::curl_free(text);
  return out;
}

// A server name beside an address: the URL is asked under that name, at that address.
std::string under_name(HttpProbeRequest& request) {
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> parsed{::curl_url(), &::curl_url_cleanup};
  if (::curl_url_set(parsed.get(), CURLUPART_URL, request.url.c_str(), 0) != CURLUE_OK) return request.url;
  if (request.via.host.empty() && request.via.unix_socket.empty()) {
    request.via.host = take_part(parsed.get(), CURLUPART_HOST);
    if (request.via.host.starts_with('[')) request.via.host = request.via.host.substr(1, request.via.host.size() - 2);
  }
  ::curl_url_set(parsed.get(), CURLUPART_HOST, request.server_name.c_str(), 0);
  return take_part(parsed.get(), CURLUPART_URL);
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

HttpProber::Transfer::Transfer(Multi& multi, HttpProbeRequest request, Done done)
    : multi_{multi}, request_{std::move(request)}, done_{std::move(done)} {
  first_url_ = request_.server_name.empty() ? request_.url : under_name(request_);
  timer_ = multi_.loop.after(Milliseconds{0}, [this] {
    timer_.reset();
    begin_hop(first_url_);
  });
}

HttpProber::Transfer::~Transfer() {
  if (timer_) multi_.loop.cancel(*timer_);
  leave_multi();
  if (easy_ != nullptr) ::curl_easy_cleanup(easy_);
  free_lists();
}

void HttpProber::Transfer::free_lists() noexcept {
  for (auto** list : {&headers_, &resolve_, &connect_to_}) {
    ::curl_slist_free_all(*list);
    *list = nullptr;
  }
}

void HttpProber::Transfer::begin_hop(const std::string& url) {
  if (!split(url)) {
    return fail(hops_ == 0 ? Stage::request : Stage::status, hops_ == 0 ? Trouble::unknown : Trouble::failed,
                "\"" + shown_url(url) + "\" is not a URL of http or https", "write it as https://host/path");
  }
  if (!is_ascii(parts_.host)) {
    return fail(Stage::dns, Trouble::unknown, "\"" + parts_.host + "\" is not written as name servers know it", "write it as xn--…");
  }
  if (hops_ == 0) first_ = parts_;
  result_.url = url_;
  result_.headers.clear();
  result_.status = 0;
  header_bytes_ = 0;
  in_headers_ = true;
  framing_conflict_.clear();
  if (parts_.scheme == "https") {
    reading_ = multi_.stores.read(multi_.loop, request_.trust, [this] {
      reading_.reset();
      look_up();
    });
  }
  if (!reading_) look_up();
}

std::string HttpProber::Transfer::waits_for() const { return reading_ ? listed(multi_.stores.unread(request_.trust)) : std::string{}; }

bool HttpProber::Transfer::split(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> parsed{::curl_url(), &::curl_url_cleanup};
  if (::curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return false;
  parts_.scheme = take_part(parsed.get(), CURLUPART_SCHEME);
  if (parts_.scheme != "http" && parts_.scheme != "https") return false;
  parts_.host = take_part(parsed.get(), CURLUPART_HOST);
  if (parts_.host.starts_with('[')) parts_.host = parts_.host.substr(1, parts_.host.size() - 2);
  const auto port = take_part(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), parts_.port);
  if (hops_ == 0) {
    user_ = take_part(parsed.get(), CURLUPART_USER, CURLU_URLDECODE);
    password_ = take_part(parsed.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  }
  ::curl_url_set(parsed.get(), CURLUPART_USER, nullptr, 0);
  ::curl_url_set(parsed.get(), CURLUPART_PASSWORD, nullptr, 0);
  ::curl_url_set(parsed.get(), CURLUPART_FRAGMENT, nullptr, 0);
  url_ = take_part(parsed.get(), CURLUPART_URL);
  return !parts_.host.empty();
}

const Via* HttpProber::Transfer::via() const {
  const bool named = !request_.via.host.empty() || !request_.via.unix_socket.empty();
  return named && parts_.host == first_.host && parts_.port == first_.port ? &request_.via : nullptr;
}

void HttpProber::Transfer::look_up() {
  lookup_start_ = std::chrono::steady_clock::now();
  const auto* other = via();
  if (other != nullptr && !other->unix_socket.empty()) return go({});
  const auto& host = other != nullptr ? other->host : parts_.host;
  if (auto numeric = numeric_addresses(host); !numeric.empty()) return go(numeric);
  looking_up_ = true;
  ticket_ = multi_.resolver.resolve(host, [this, host](const Resolver::Answer& answer) {
    looking_up_ = false;
    result_.times.add(Stage::dns, std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - lookup_start_));
    if (answer.error == 0) return choose(host, answer.addresses);
    static_cast<ProbeResult&>(result_) = [&] {
      auto trouble = dns_trouble(answer, host);
      trouble.times = result_.times;
      return trouble;
    }();
    finish();
  });
}

// Of two addresses of one family curl leaves the first only after half the time that it has, and it has all day here.
void HttpProber::Transfer::choose(const std::string& host, const std::vector<Address>& addresses) {
  std::size_t v4 = 0;
  for (const auto& address : addresses) v4 += address.storage.ss_family == AF_INET ? 1U : 0U;
  if (v4 < 2 && addresses.size() - v4 < 2) return go(addresses);
  const auto* other = via();
  const TcpTarget target{host, other != nullptr && other->port != 0 ? other->port : parts_.port, {}};
  connector_ = std::make_unique<Connector>(multi_.loop, multi_.resolver, target, [this](const ProbeResult& result) {
    if (result.trouble != Trouble::none) {
      const auto times = result_.times;
      static_cast<ProbeResult&>(result_) = result;
      result_.times.dns = times.dns;
      return finish();
    }
    ::close(connector_->take());
    timer_ = multi_.loop.after(Milliseconds{0}, [this, peer = connector_->peer()] {
      timer_.reset();
      connector_.reset();
      go({peer});
    });
  });
}

void HttpProber::Transfer::go(const std::vector<Address>& addresses) {
  easy_ = ::curl_easy_init();
  if (easy_ == nullptr) return fail(Stage::connect, Trouble::busy, "no memory for a connection", "--parallel 16");
  set_options(addresses);
  set_identity();
  hop_start_ = std::chrono::steady_clock::now();
  tls_start_.reset();
  in_multi_ = true;
  ::curl_multi_add_handle(multi_.handle, easy_);
}

}  // namespace codops::io

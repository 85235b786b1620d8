// Answers over HTTP, and certificates.
#include <array>
#include <charconv>

#include "lib/base/units.hpp"
#include "lib/health/verdict.hpp"
#include "lib/health/verdict_parts.hpp"

namespace codops::health {
namespace {

constexpr std::array<std::string_view, 3> plain_http{"HTTP request was sent to HTTPS port", "Client sent an HTTP request to an HTTPS server", "speaking plain HTTP to an SSL-enabled server port"};

double days(std::chrono::milliseconds duration) { return static_cast<double>(duration.count()) / 86'400'000.0; }

std::string status_hint(long status) {
  switch (status) {
    case 401:
    case 403: return "the endpoint wants a login: --header 'Authorization: …', or exempt it";
    case 404: return "check the path";
    case 429: return "the endpoint limits its callers: exempt the health check";
    case 502:
    case 504: return "the proxy reaches nobody behind it: check the upstream service";
    case 503: return "the service says that it is not ready: see its log";
    default: return status >= 500 ? "see the service's log" : "";
  }
}

// nginx lets the handshake pass and answers 400; 495 and 496 are its own, inside.
bool misses_certificate(const io::HttpProbeResult& result) {
  const bool refused = result.status == 400 || result.status == 401 || result.status == 403 || result.status == 495 || result.status == 496;
  return refused && result.tls && result.tls->misses_certificate;
}

// nginx, Go and Apache answer plain HTTP on a port of TLS, and say so in words alone.
bool wants_tls(const io::HttpProbeResult& result) {
  if (result.status != 400 || !result.url.starts_with("http://")) return false;
  return std::any_of(plain_http.begin(), plain_http.end(), [&](std::string_view words) { return result.body.find(words) != std::string::npos; });
}

Finding judge_body(const HttpCheck& check, const io::HttpProbeResult& result) {
  // A server may compress what nobody asked it to: then nothing of the body is known.
  const auto* encoding = result.header("content-encoding");
  const bool matters = !check.body_contains.empty() || !check.expect_json.empty() || (check.read_status && result.is_json && !result.body.empty());
  if (matters && encoding != nullptr && !encoding->empty() && *encoding != "identity") {
    return found(Status::unknown, io::Stage::body, fmt::format("the body is compressed (Content-Encoding: {}): it can't be read here", encoding->substr(0, 40)),
                 "send no Accept-Encoding, and let the server compress only what asks for it");
  }
  for (const auto& wanted : check.body_contains) {
    if (result.body.find(wanted) == std::string::npos) {
      return found(Status::fail, io::Stage::body,
                   fmt::format("the body does not contain \"{}\"{}", wanted,
                               result.body_bytes > result.body.size() ? fmt::format(" in its first {}", format_bytes(result.body.size())) : ""),
                   "");
    }
  }
  const bool complete = result.body_bytes == result.body.size();
  if (!complete && !check.expect_json.empty()) {
    return found(Status::fail, io::Stage::body,
                 "the body is longer than " + format_bytes(check.request.keep_body) + ": too long to be read as JSON", "");
  }
  try {
    for (const auto& wanted : check.expect_json) {
      const auto value = json_at(result.body, wanted.path);
      if (value == wanted.equals) continue;
      return found(Status::fail, io::Stage::body,
                   value ? fmt::format("{} is \"{}\", not \"{}\"", wanted.path, value->substr(0, 80), wanted.equals)
                         : fmt::format("{} is missing in the body", wanted.path),
                   "");
    }
    if (!check.read_status || !complete || !result.is_json || result.body.empty()) return {};
    switch (json_status(result.body).value_or(Status::ok)) {
      case Status::fail:
        return found(Status::fail, io::Stage::body,
                     fmt::format("HTTP {}, but the body says \"{}\"", result.status, *json_at(result.body, "status")),
                     "see the body: curl -s " + io::shown_url(result.url));
      case Status::warn:
        return found(Status::warn, io::Stage::body,
                     fmt::format("the body says \"{}\"", *json_at(result.body, "status")),
                     "see the body: curl -s " + io::shown_url(result.url));
      default: return {};
    }
  } catch (const Failure& failure) {
    return found(Status::fail, io::Stage::body, failure.message(), "the server stopped in the middle, or it is no JSON: see its log");
  }
}

}  // namespace

std::optional<StatusCodes> StatusCodes::parse(std::string_view text) {
  StatusCodes out;
  out.ranges_.clear();
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    auto word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto number = [](std::string_view digits) -> std::optional<long> {
      long value = 0;
      const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      const bool whole = error == std::errc{} && stop == digits.data() + digits.size();
      return whole && value >= 100 && value <= 599 ? std::optional{value} : std::nullopt;
    };
    if (word.size() == 3 && (word.substr(1) == "xx" || word.substr(1) == "XX") && word[0] >= '1' && word[0] <= '5') {
      const long first = (word[0] - '0') * 100L;
      out.ranges_.emplace_back(first, first + 99);
      continue;
    }
    const auto dash = word.find('-');
    const auto low = number(word.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : number(word.substr(dash + 1));
    if (!low || !high || *low > *high) return std::nullopt;
    out.ranges_.emplace_back(*low, *high);
  }
  return out.ranges_.empty() ? std::nullopt : std::optional{out};
}

bool StatusCodes::contains(long code) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const auto& range) { return code >= range.first && code <= range.second; });
}

std::string StatusCodes::text() const {
  std::string out;
  for (const auto& [low, high] : ranges_) {
    out += (out.empty() ? "" : ",") + (low == high ? std::to_string(low) : fmt::format("{}-{}", low, high));
  }
  return out;
}

Finding judge_certificate(const CertificateLimits& limits, const io::TlsFacts& facts, WallTime now) {
  Finding out;
  const io::Certificate* soonest = nullptr;
  for (const auto& certificate : facts.chain) {
    if (soonest == nullptr || certificate.not_after < soonest->not_after) soonest = &certificate;
  }
  if (soonest == nullptr) return out;
  const auto left = soonest->not_after - now;
  const auto warn = days(limits.warn), fail = days(limits.fail);
  out.metrics.push_back({"certificate", days(facts.chain.front().not_after - now), "d", warn, fail, std::nullopt, std::nullopt, true});
  out.metrics.push_back({"chain", days(left), "d", warn, fail, std::nullopt, std::nullopt, true});
  if (left >= std::max(limits.warn, limits.fail)) return out;
  const bool leaf = soonest == &facts.chain.front();
  // Who asked for no verification is warned only.
  out.status = left < limits.fail && facts.verified ? Status::fail : Status::warn;
  out.stage = io::Stage::tls;
  const auto what = (leaf ? "the certificate \"" : "the certificate of the issuer \"") + soonest->subject + "\"";
  out.message = left.count() < 0 ? fmt::format("{} expired {}", what, format_age(-left))
                                 : fmt::format("{} expires in {}", what, format_duration(left));
  out.hint = leaf ? "renew it, then reload the server" : "renew the chain: get a certificate from the issuer's new intermediate";
  return out;
}

Finding judge_http(const HttpCheck& check, const io::HttpProbeResult& result, WallTime now) {
  if (!check.expect_status.contains(result.status)) {
    return found(Status::fail, io::Stage::status, fmt::format("HTTP {}, expected {}", result.status, check.expect_status.text()),
                 misses_certificate(result) ? "the server asks for a client certificate: --cert FILE --key FILE, in codops.yaml certificate and key"
                 : wants_tls(result)        ? "this port speaks TLS: its URL begins with https:// (of a deploy: front_door: {url: https://…} in codops.yaml)"
                                            : status_hint(result.status));
  }
  if (check.expect_http2 && result.version != "2") {
    return found(Status::fail, io::Stage::status, "the answer is HTTP/" + result.version + ", not HTTP/2", "turn on http2 at the server");
  }
  for (const auto& wanted : check.expect_headers) {
    const bool has = std::any_of(result.headers.begin(), result.headers.end(), [&](const auto& header) {
      return header.first == wanted.name && header.second.find(wanted.contains) != std::string::npos;
    });
    if (has) continue;
    const auto* other = result.header(wanted.name);
    return found(Status::fail, io::Stage::status,
                 other == nullptr ? "the header \"" + wanted.name + "\" is missing"
                                  : fmt::format("the header \"{}\" does not contain \"{}\"", wanted.name, wanted.contains),
                 "");
  }
  auto out = judge_body(check, result);
  if (result.tls) out = worse(std::move(out), judge_certificate(check.certificate, *result.tls, now));
  return out;
}

}  // namespace codops::health

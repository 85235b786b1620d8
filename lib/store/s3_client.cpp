#include "lib/store/s3_client.hpp"

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/md5.hpp"

namespace codops::store {
namespace {

constexpr std::size_t streamed_from = 8U << 20U;  // bytes of a body: more of them are not copied
constexpr std::chrono::minutes most_skew{15};        // S3's own bound

bool worth_another_try(int status, const std::string& code) {
  // With 400 come a body that stopped on its way, and one that was changed there.
  static const std::set<std::string, std::less<>> passing{"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"};
  return status == 429 || status == 409 || status >= 500 || ((status == 200 || status == 400) && passing.contains(code));
}

// "200 OK" may come before the server knows: what became of it is in the body.
bool is_error_in_200(const S3Call& call, const io::HttpResponse& response) {
  const bool brings_xml = call.method == "POST" || (call.method == "GET" && call.key.empty());
  return response.status == 200 && brings_xml && is_whole_xml(response.body, "Error");
}

Failure refusal(const std::string& why, const std::string& code, const io::HttpResponse& response, WallTime now) {
  const auto date = parse_http_date(response.header("date"));
  if (response.status == 403 && date && (now - *date > most_skew || *date - now > most_skew)) {
    const bool ahead = now > *date;
    return {Exit::config, fmt::format("{}: this machine's clock is {} {} the store's", why, format_duration(ahead ? now - *date : *date - now), ahead ? "ahead of" : "behind"),
            "set the clock: timedatectl"};
  }
  const bool denied = response.status == 403 || response.status == 401 || code == "ExpiredToken";
  return {denied ? Exit::config : Exit::failed, why, denied ? std::string{denied_hint} : ""};
}

}  // namespace

S3Client::S3Client(S3Settings settings, const Clock& clock) : settings_{std::move(settings)}, clock_{clock} {
  auto endpoint = settings_.endpoint.empty() ? fmt::format("https://s3.{}.amazonaws.com", settings_.region) : settings_.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const auto scheme = endpoint.find("://");
  if (scheme == std::string::npos) throw Failure{Exit::config, fmt::format("backup.s3.endpoint \"{}\" is no URL", endpoint)};
  host_ = endpoint.substr(scheme + 3);
  if (settings_.path_style) {
    path_prefix_ = "/" + io::percent_encode(settings_.address.bucket);
  } else {
    host_ = settings_.address.bucket + "." + host_;
  }
  io::HttpServer server;
  server.url = endpoint.substr(0, scheme + 3) + host_;
  server.tls.ca_file = settings_.ca_file;
  server.name = describe();
  http_ = std::make_unique<io::HttpClient>(std::move(server));
}

std::string S3Client::describe() const {
  const auto& address = settings_.address;
  return fmt::format("s3://{}{}{}", address.bucket, address.prefix.empty() ? "" : "/", address.prefix);
}

std::string S3Client::full_key(const std::string& name) const {
  const auto& prefix = settings_.address.prefix;
  return prefix.empty() ? name : name.empty() ? prefix : prefix + "/" + name;
}

void S3Client::pace(std::size_t bytes, const Limits& limits) {
  if (!settings_.bandwidth || *settings_.bandwidth == 0) return;
  const auto cost = std::chrono::nanoseconds{static_cast<std::int64_t>(
      static_cast<double>(bytes) * 1e9 / static_cast<double>(*settings_.bandwidth))};
  std::chrono::steady_clock::time_point until;
  {
    const std::lock_guard lock{mutex_};
    until = next_free_ = std::max(next_free_, std::chrono::steady_clock::now()) + cost;
  }
  const Limits paced{limits.deadline.sooner(Deadline::at(until)), limits.cancel};
  paced.wait(-1, 0);
  limits.check("an upload");
}

io::HttpResponse S3Client::send(const S3Call& call, const Limits& limits) {
  Backoff backoff{Milliseconds{200}, Milliseconds{5000}};
  for (int attempt = 1;; ++attempt) {
    S3Request signing;
    signing.method = call.method;
    signing.path = path_prefix_ + "/" + (call.key.empty() ? std::string{} : io::percent_encode(call.key, "/"));
    signing.query = call.query;
    signing.headers = call.headers;
    signing.headers["host"] = host_;
    signing.payload_sha256 = io::sha256_hex(call.body);
    // Required of whatever comes under a retention, be it the bucket's own.
    if (const auto md5 = call.method == "PUT" && !call.key.empty() ? io::md5(call.body) : std::string{}; !md5.empty()) {
      signing.headers["content-md5"] = io::to_base64(md5);
    }
    io::HttpRequest request;
    request.method = call.method;
    request.target = signing.path + (call.query.empty() ? "" : "?" + canonical_query(call.query));
    for (const auto& [name, value] : signing.headers) {
      if (name != "host") request.headers.emplace_back(name, value);
    }
    for (auto& [name, value] : sign(signing, settings_.credentials, settings_.region, clock_.now())) {
      request.secret_headers.emplace_back(name, Secret{std::move(value)});
    }
    if (call.body.size() <= streamed_from) {
      request.body = std::string{call.body};
    } else {
      request.upload_size = call.body.size();
      request.upload = [left = call.body](char* into, std::size_t size) mutable {
        const auto taken = left.copy(into, size);
        left.remove_prefix(taken);
        return taken;
      };
    }
    // At least 128 KiB a second, and never silent.
    request.timeout = Milliseconds{120'000} + std::chrono::seconds{call.body.size() >> 17U};
    request.inactivity = Milliseconds{30'000};
    const bool last = attempt >= settings_.attempts;
    std::string why;
    try {
      auto response = http_->send(request, limits);
      const bool belied = is_error_in_200(call, response);
      if (response.ok() && !belied) return response;
      const auto code = xml_text(response.body, "Code");
      if (response.status == 404 && code == "NoSuchBucket") {
        throw Failure{Exit::config, fmt::format("there is no bucket \"{}\" at {}", settings_.address.bucket, host_), "look at backup.store and backup.s3"};
      }
      if (response.status == 404 || response.status == 412) return response;
      why = fmt::format("{} answers {} {}", describe(), response.status, code);
      if (!worth_another_try(response.status, code)) throw refusal(why, code, response, clock_.now());
    } catch (const io::HttpFailure& failure) {
      why = failure.message();
      if (failure.kind() == io::HttpFailure::Kind::tls || last) throw;
    }
    if (last || !backoff.wait(limits)) throw Failure{Exit::unavailable, why};
  }
}

}  // namespace codops::store

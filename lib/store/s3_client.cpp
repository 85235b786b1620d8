#include "lib/store/s3_client.hpp"

#include "lib/base/failure.hpp"
#include "lib/base/retry.hpp"
#include "lib/io/crypto.hpp"

namespace codops::store {
namespace {

std::string unescaped(std::string_view text) {
  static const std::map<std::string_view, char> entities{{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto end = text[at] == '&' ? text.find(';', at) : std::string_view::npos;
    const auto found = end == std::string_view::npos ? entities.end() : entities.find(text.substr(at + 1, end - at - 1));
    if (found == entities.end()) {
      plain += text[at];
    } else {
      plain += found->second;
      at = end;
    }
  }
  return plain;
}

bool worth_another_try(int status) { return status == 429 || status == 409 || status >= 500; }

}  // namespace

std::vector<std::string> xml_texts(std::string_view xml, std::string_view name) {
  const auto open = fmt::format("<{}>", name), close = fmt::format("</{}>", name);
  std::vector<std::string> texts;
  for (std::size_t at = xml.find(open); at != std::string_view::npos; at = xml.find(open, at)) {
    at += open.size();
    const auto end = xml.find(close, at);
    if (end == std::string_view::npos) break;
    texts.push_back(unescaped(xml.substr(at, end - at)));
    at = end;
  }
  return texts;
}

std::string xml_text(std::string_view xml, std::string_view name) {
  auto texts = xml_texts(xml, name);
  return texts.empty() ? std::string{} : std::move(texts.front());
}

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
    io::HttpRequest request;
    request.method = call.method;
    request.target = signing.path + (call.query.empty() ? "" : "?" + canonical_query(call.query));
    for (const auto& [name, value] : call.headers) request.headers.emplace_back(name, value);
    for (auto& [name, value] : sign(signing, settings_.credentials, settings_.region, clock_.now())) {
      request.secret_headers.emplace_back(name, Secret{std::move(value)});
    }
    request.body = std::string{call.body};
    request.timeout = Milliseconds{120'000};
    request.inactivity = Milliseconds{30'000};
    const bool last = attempt >= settings_.attempts;
    std::string why;
    try {
      auto response = http_->send(request, limits);
      if (response.ok() || response.status == 404 || response.status == 412) return response;
      const auto code = xml_text(response.body, "Code");
      why = fmt::format("{} answers {} {}", describe(), response.status, code);
      if (!worth_another_try(response.status)) {
        const bool denied = response.status == 403 || response.status == 401 || code == "ExpiredToken";
        throw Failure{denied ? Exit::config : Exit::failed, why, denied ? "look at the credentials of backup.s3, and their rights" : ""};
      }
    } catch (const io::HttpFailure& failure) {
      why = failure.message();
      if (failure.kind() == io::HttpFailure::Kind::tls || last) throw;
    }
    if (last || !backoff.wait(limits)) throw Failure{Exit::unavailable, why};
  }
}

}  // namespace codops::store

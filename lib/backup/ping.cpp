#include "lib/backup/ping.hpp"

#include "lib/base/failure.hpp"
#include "lib/io/http.hpp"

namespace codops::backup {

void Ping::start(const Limits& limits) const {
  try {
    tell("/start", limits);
  } catch (const Failure&) {
    limits.cancel.check();
  }
}

void Ping::success(const Limits& limits) const { tell("", limits); }

void Ping::failure(const Limits& limits) const { tell("/fail", limits); }

void Ping::tell(std::string_view suffix, const Limits& limits) const {
  if (url_.empty()) return;
  std::string url{url_.reveal()};
  const auto scheme = url.find("://");
  const auto slash = scheme == std::string::npos ? std::string::npos : url.find('/', scheme + 3);
  io::HttpServer server;
  server.url = url.substr(0, slash);
  server.name = "the ping URL";  // the path is the secret
  io::HttpRequest request;
  request.target = (slash == std::string::npos ? std::string{} : url.substr(slash));
  while (request.target.ends_with('/')) request.target.pop_back();
  request.target += suffix;
  if (request.target.empty()) request.target = "/";
  request.timeout = Milliseconds{10'000};
  io::HttpClient client{server};
  const auto response = client.send(request, limits);
  if (!response.ok()) throw Failure{Exit::unavailable, fmt::format("the ping URL answered {}", response.status)};
}

}  // namespace codops::backup

#include "lib/backup/ping.hpp"

#include "lib/base/failure.hpp"
#include "lib/io/http.hpp"

namespace codops::backup {

std::string ping_target(std::string_view path, std::string_view suffix) {
  path = path.substr(0, path.find('#'));
  const auto query = std::min(path.find('?'), path.size());
  auto target = path.substr(0, query);
  while (target.ends_with('/')) target.remove_suffix(1);
  auto text = fmt::format("{}{}", target, suffix);
  if (text.empty()) text = "/";
  return text.append(path.substr(query));
}

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
  const auto slash = scheme == std::string::npos ? std::string::npos : url.find_first_of("/?#", scheme + 3);
  io::HttpServer server;
  server.url = url.substr(0, slash);
  server.name = "the ping URL";  // the path is the secret
  io::HttpRequest request;
  request.target = ping_target(slash == std::string::npos ? std::string_view{} : std::string_view{url}.substr(slash), suffix);
  request.timeout = Milliseconds{10'000};
  io::HttpClient client{server};
  const auto response = client.send(request, limits);
  if (!response.ok()) throw Failure{Exit::unavailable, fmt::format("the ping URL answered {}", response.status)};
}

}  // namespace codops::backup

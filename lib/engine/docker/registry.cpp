#include "lib/engine/docker/registry.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::docker {
namespace {

// The index of a multi-platform image counts, where there is one: a node takes its own platform out of it.
constexpr const char* manifest_types =
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

std::string_view host_without_port(std::string_view authority) { return authority.substr(0, authority.rfind(':')); }

bool is_this_machine(std::string_view authority) {
  const auto host = host_without_port(authority);
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

// As the engine and the kubelet have it: TLS everywhere but on the machine itself.
std::string url_of(const std::string& registry) {
  if (registry == "docker.io") return "https://registry-1.docker.io";
  return fmt::format("{}://{}", is_this_machine(registry) ? "http" : "https", registry);
}

std::string basic_of(const Credentials& credentials) {
  return "Basic " + io::to_base64(fmt::format("{}:{}", credentials.username, credentials.password.reveal()));
}

std::string parameter(const Challenge& challenge, const char* name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? std::string{} : found->second;
}

}  // namespace

Challenge parse_challenge(std::string_view header) {
  Challenge challenge;
  const auto space = header.find(' ');
  challenge.scheme = ascii_lower(header.substr(0, space));
  while (space != std::string_view::npos && !header.empty()) {
    const auto equals = header.find('=');
    if (equals == std::string_view::npos) break;
    const auto begin = header.find_last_of(" ,", equals);
    const auto name = header.substr(begin + 1, equals - begin - 1);
    header.remove_prefix(equals + 1);
    const bool quoted = header.starts_with('"');
    if (quoted) header.remove_prefix(1);
    const auto end = header.find(quoted ? '"' : ',');
    challenge.parameters[ascii_lower(name)] = std::string{header.substr(0, end)};
    header.remove_prefix(end == std::string_view::npos ? header.size() : end + 1);
  }
  return challenge;
}

Registries::Registries(RegistryAuth auth) : auth_{std::move(auth)} {}

io::HttpClient& Registries::client_for(const std::string& url) {
  const std::lock_guard lock{mutex_};
  auto& client = clients_[url];
  if (!client) {
    io::HttpServer server;
    server.url = url;
    server.name = fmt::format("the registry at {}", url);
    server.connect_timeout = Milliseconds{5'000};
    client = std::make_unique<io::HttpClient>(std::move(server));
  }
  return *client;
}

io::HttpResponse Registries::ask(const ImageName& name, const std::string& authorization, const Limits& limits) {
  io::HttpRequest request;
  request.method = "HEAD";
  request.target = fmt::format("/v2/{}/manifests/{}", name.repository, name.reference());
  request.headers = {{"Accept", manifest_types}, {"User-Agent", "codops"}};
  if (!authorization.empty()) request.secret_headers.emplace_back("Authorization", Secret{authorization});
  return client_for(url_of(name.registry)).send(request, limits);
}

std::string Registries::token(const Challenge& challenge, const ImageName& name, const std::optional<Credentials>& credentials, const Limits& limits) {
  const auto realm = parameter(challenge, "realm");
  const auto scheme = realm.find("://");
  const auto path = scheme == std::string::npos ? scheme : realm.find('/', scheme + 3);
  const auto url = realm.substr(0, path);
  // A password goes over TLS, or nowhere beyond this machine.
  if (path == std::string::npos || !(url.starts_with("https://") || (url.starts_with("http://") && is_this_machine(url.substr(7))))) {
    throw Failure{Exit::failed, fmt::format("{} wants a token from \"{}\", which is no address that a password may go to", name.registry, realm)};
  }
  auto scope = parameter(challenge, "scope");
  if (scope.empty()) scope = fmt::format("repository:{}:pull", name.repository);
  auto query = fmt::format("service={}&scope={}", io::percent_encode(parameter(challenge, "service")), io::percent_encode(scope));
  io::HttpRequest request;
  request.target = realm.substr(path);
  if (credentials && !credentials->identity_token.empty()) {
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = fmt::format("grant_type=refresh_token&client_id=codops&{}&refresh_token={}", query, io::percent_encode(credentials->identity_token.reveal()));
  } else {
    request.target += (request.target.find('?') == std::string::npos ? "?" : "&") + query;
    if (credentials) request.secret_headers.emplace_back("Authorization", Secret{basic_of(*credentials)});
  }
  const auto response = client_for(url).send(request, limits);
  const auto answer = nlohmann::json::parse(response.body, nullptr, false);
  if (!response.ok() || !answer.is_object()) {
    throw Failure{Exit::failed, fmt::format("{} gives no token for {} (it answers {})", url, name.familiar_repository(), response.status), fmt::format("docker login {}", name.registry)};
  }
  for (const char* key : {"token", "access_token"}) {
    if (answer.contains(key) && answer.at(key).is_string()) return answer.at(key).get<std::string>();
  }
  throw Failure{Exit::failed, fmt::format("{} answers without a token for {}", url, name.familiar_repository())};
}

std::string Registries::authorization_for(const Challenge& challenge, const ImageName& name, const Limits& limits) {
  const auto credentials = auth_.find(name.registry, limits);
  if (challenge.scheme == "bearer") return "Bearer " + token(challenge, name, credentials, limits);
  if (challenge.scheme == "basic" && credentials && credentials->identity_token.empty()) return basic_of(*credentials);
  return {};
}

std::string Registries::digest_of(const std::string& image, const Limits& limits) {
  const auto name = parse_image_name(image);
  auto response = ask(name, {}, limits);
  if (response.status == 401) {
    const auto authorization = authorization_for(parse_challenge(response.header("www-authenticate")), name, limits);
    if (!authorization.empty()) response = ask(name, authorization, limits);
  }
  if (response.status == 401 || response.status == 403) {
    throw Failure{Exit::failed, fmt::format("{} does not let us read {}", name.registry, name.familiar_repository()), fmt::format("docker login {}", name.registry)};
  }
  if (response.status == 404) throw Failure{Exit::failed, fmt::format("{} has no {}:{}", name.registry, name.familiar_repository(), name.reference())};
  const auto digest = response.header("docker-content-digest");
  if (!response.ok() || digest.find(':') == std::string::npos) {
    throw Failure{Exit::failed, fmt::format("{} answers {} without a digest for {}", name.registry, response.status, name.familiar())};
  }
  return digest;
}

}  // namespace codops::engine::docker

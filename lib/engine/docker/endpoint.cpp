#include "lib/engine/docker/endpoint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/failure.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view default_socket = "/var/run/docker.sock";

std::optional<std::string> read_text(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

json read_json(const fs::path& path) {
  const auto text = read_text(path);
  if (!text) return nullptr;
  auto parsed = json::parse(*text, nullptr, false);
  if (parsed.is_discarded()) throw Failure{Exit::config, fmt::format("\"{}\" is not valid JSON", path.string())};
  return parsed;
}

// The folder that names a context's files is the hash of its name; looking inside spares us the hash.
std::pair<json, std::string> find_context(const fs::path& folder, const std::string& name) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder / "contexts" / "meta", error}) {
    auto meta = read_json(entry.path() / "meta.json");
    if (meta.is_object() && meta.value("Name", "") == name) return {std::move(meta), entry.path().filename().string()};
  }
  throw Failure{Exit::config, fmt::format("there is no Docker context \"{}\"", name), "docker context ls"};
}

Endpoint from_context(const fs::path& folder, const std::string& name) {
  const auto [meta, id] = find_context(folder, name);
  const auto docker = meta.value("Endpoints", json::object()).value("docker", json::object());
  auto endpoint = parse_host(docker.value("Host", ""));
  endpoint.origin = fmt::format("context \"{}\"", name);
  const auto tls = folder / "contexts" / "tls" / id / "docker";
  if (fs::exists(tls / "ca.pem")) endpoint.server.tls.ca_file = tls / "ca.pem";
  if (fs::exists(tls / "cert.pem")) endpoint.server.tls.cert_file = tls / "cert.pem";
  if (fs::exists(tls / "key.pem")) endpoint.server.tls.key_file = tls / "key.pem";
  if (docker.value("SkipTLSVerify", false)) {
    throw Failure{Exit::config, fmt::format("Docker context \"{}\" skips the verification of certificates", name),
                  "docker context update with the engine's CA"};
  }
  const bool has_tls = fs::exists(tls);
  if (endpoint.kind == Endpoint::Kind::tcp && has_tls) endpoint.server.url.replace(0, 4, "https", 5);
  return endpoint;
}

void apply_cert_path(Endpoint& endpoint, const Variables& variables) {
  const auto verify = variables("DOCKER_TLS_VERIFY");
  const auto cert_path = variables("DOCKER_CERT_PATH");
  const bool has_verify = verify && !verify->empty();
  if (endpoint.kind != Endpoint::Kind::tcp || (!has_verify && !variables("DOCKER_TLS"))) return;
  fs::path folder = cert_path && !cert_path->empty() ? fs::path{*cert_path} : fs::path{config_folder(variables)};
  endpoint.server.tls.ca_file = folder / "ca.pem";
  if (fs::exists(folder / "cert.pem")) endpoint.server.tls.cert_file = folder / "cert.pem";
  if (fs::exists(folder / "key.pem")) endpoint.server.tls.key_file = folder / "key.pem";
  if (!fs::exists(endpoint.server.tls.ca_file)) {
    throw Failure{Exit::config, fmt::format("\"{}\" does not exist", endpoint.server.tls.ca_file),
                  "set DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem"};
  }
  if (endpoint.server.url.starts_with("http://")) endpoint.server.url.replace(0, 4, "https");
}

}  // namespace

Variables process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string{name}.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string{value};
  };
}

std::string config_folder(const Variables& variables) {
  if (const auto folder = variables("DOCKER_CONFIG"); folder && !folder->empty()) return *folder;
  if (const auto home = variables("HOME"); home && !home->empty()) return (fs::path{*home} / ".docker").string();
  return {};
}

Endpoint parse_host(std::string_view host) {
  Endpoint endpoint;
  endpoint.shown = std::string{host};
  const auto separator = host.find("://");
  const auto scheme = separator == std::string_view::npos ? std::string_view{"tcp"} : host.substr(0, separator);
  const auto rest = separator == std::string_view::npos ? host : host.substr(separator + 3);
  if (host.empty() || rest.empty()) {
    throw Failure{Exit::config, fmt::format("\"{}\" is no engine address", host),
                  "DOCKER_HOST=unix:///path, tcp://host:2376 or ssh://user@host"};
  }
  if (scheme == "unix") {
    endpoint.kind = Endpoint::Kind::unix_socket;
    endpoint.server.unix_socket = std::string{rest};
    endpoint.server.url = "http://localhost";
  } else if (scheme == "tcp" || scheme == "http" || scheme == "https") {
    endpoint.kind = Endpoint::Kind::tcp;
    endpoint.server.url = fmt::format("{}://{}", scheme == "https" ? "https" : "http", rest);
    const auto authority = rest.substr(0, rest.find('/'));
    const auto bracket = authority.rfind(']');
    const auto colon = authority.rfind(':');
    if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) {
      endpoint.server.url.insert(endpoint.server.url.find("://") + 3 + authority.size(), ":2375");
    }
  } else if (scheme == "ssh") {
    endpoint.kind = Endpoint::Kind::ssh;
    auto authority = rest.substr(0, rest.find('/'));
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
      endpoint.ssh_user = std::string{authority.substr(0, at)};
      authority.remove_prefix(at + 1);
    }
    if (const auto colon = authority.rfind(':'); colon != std::string_view::npos && authority.find(']') == authority.npos) {
      std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), endpoint.ssh_port);
      authority = authority.substr(0, colon);
    }
    endpoint.ssh_host = std::string{authority};
    if (endpoint.ssh_host.empty() || endpoint.ssh_host.starts_with('-') || endpoint.ssh_user.starts_with('-')) {
      throw Failure{Exit::config, fmt::format("\"{}\" is no engine address", host), "DOCKER_HOST=ssh://user@host"};
    }
    endpoint.server.url = "http://localhost";
  } else {
    throw Failure{Exit::config, fmt::format("\"{}\" is no engine address: unknown scheme \"{}\"", host, scheme),
                  "DOCKER_HOST=unix:///path, tcp://host:2376 or ssh://user@host"};
  }
  endpoint.server.name = fmt::format("the engine at {}", redact_url(endpoint.shown));
  return endpoint;
}

Endpoint resolve_endpoint(const Variables& variables) {
  if (const auto host = variables("DOCKER_HOST"); host && !host->empty()) {
    auto endpoint = parse_host(*host);
    endpoint.origin = "DOCKER_HOST";
    apply_cert_path(endpoint, variables);
    return endpoint;
  }
  const fs::path folder = config_folder(variables);
  auto context = variables("DOCKER_CONTEXT").value_or("");
  if (context.empty() && !folder.empty()) {
    const auto config = read_json(folder / "config.json");
    if (config.is_object()) context = config.value("currentContext", "");
  }
  if (!context.empty() && context != "default") return from_context(folder, context);
  auto endpoint = parse_host(fmt::format("unix://{}", default_socket));
  endpoint.origin = "default";
  return endpoint;
}

}  // namespace codops::engine::docker

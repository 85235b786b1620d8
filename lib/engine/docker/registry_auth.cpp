#include "lib/engine/docker/registry_auth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;

constexpr std::string_view hub_key = "https://index.docker.io/v1/";

std::string key_of(std::string_view registry) {
  return std::string{registry == "docker.io" || registry.empty() ? hub_key : registry};
}

// "https://ghcr.io/v2/" → "ghcr.io": keys in `auths` may be URLs.
std::string_view host_of(std::string_view key) {
  if (const auto scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  return key.substr(0, key.find('/'));
}

std::shared_ptr<const json> parse_config(const std::string& text, const std::string& where) {
  auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) throw Failure{Exit::config, fmt::format("{} is not a JSON object", where)};
  return std::make_shared<const json>(std::move(parsed));
}

std::optional<Credentials> from_entry(const std::string& server, const json& entry) {
  Credentials found;
  found.server = server;
  found.username = entry.value("username", "");
  found.password = Secret{entry.value("password", "")};
  found.identity_token = Secret{entry.value("identitytoken", "")};
  if (const auto auth = entry.value("auth", ""); !auth.empty()) {
    const auto pair = io::from_base64(auth);
    const auto colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      throw Failure{Exit::config, fmt::format("the credentials for \"{}\" are damaged", server),
                    fmt::format("docker login {}", host_of(server))};
    }
    found.username = pair->substr(0, colon);
    auto password = pair->substr(colon + 1);
    while (!password.empty() && password.back() == '\0') password.pop_back();
    found.password = Secret{std::move(password)};
  }
  if (found.username.empty() && found.identity_token.empty()) return std::nullopt;
  return found;
}

void add_pair(std::string_view username, std::string_view password, KnownSecrets& secrets) {
  if (password.empty()) return;
  const auto pair = fmt::format("{}:{}", username, password);
  secrets.add(password);
  secrets.add(pair);
  secrets.add(io::to_base64(pair));  // of "Authorization: Basic"
}

// As it stands, and what it says; a damaged one too.
void add_auth(const std::string& auth, KnownSecrets& secrets) {
  secrets.add(auth);
  auto pair = io::from_base64(auth).value_or(std::string{});
  while (!pair.empty() && pair.back() == '\0') pair.pop_back();
  const auto colon = pair.find(':');
  if (colon != std::string::npos) add_pair(pair.substr(0, colon), pair.substr(colon + 1), secrets);
}

void add_config(const json& config, KnownSecrets& secrets) {
  const auto auths = config.find("auths");
  if (auths == config.end() || !auths->is_object()) return;
  for (const auto& entry : *auths) {
    const auto text = [&](const char* key) { return entry.is_object() && entry.contains(key) && entry.at(key).is_string() ? entry.at(key).get<std::string>() : std::string{}; };
    add_pair(text("username"), text("password"), secrets);
    secrets.add(text("identitytoken"));
    secrets.add(text("registrytoken"));
    add_auth(text("auth"), secrets);
  }
}

// The engine wants the URL alphabet and, unlike RFC 7515, the padding.
std::string padded_base64url(std::string_view bytes) {
  auto text = io::to_base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

}  // namespace

struct RegistryAuth::Heard {
  std::mutex mutex;
  std::vector<Credentials> answers;
};

RegistryAuth::RegistryAuth() : heard_{std::make_shared<Heard>()} {}

RegistryAuth::RegistryAuth(const Variables& variables, CredentialHelper helper) : helper_{std::move(helper)}, heard_{std::make_shared<Heard>()} {
  if (const auto text = variables("DOCKER_AUTH_CONFIG"); text && !text->empty()) {
    from_variable_ = parse_config(*text, "DOCKER_AUTH_CONFIG");
  }
  const auto folder = config_folder(variables);
  if (folder.empty()) return;
  std::ifstream file{folder + "/config.json", std::ios::binary};
  if (!file) return;
  std::ostringstream text;
  text << file.rdbuf();
  if (!text.str().empty()) from_file_ = parse_config(text.str(), fmt::format("\"{}/config.json\"", folder));
}

std::optional<Credentials> RegistryAuth::ask_helper(const std::string& name, const std::string& server,
                                                    const Limits& limits) const {
  if (!helper_) return std::nullopt;
  const auto answer = helper_(name, server, limits);
  if (!answer) return std::nullopt;
  const auto parsed = json::parse(answer->reveal(), nullptr, false);
  if (!parsed.is_object()) {
    throw Failure{Exit::failed, fmt::format("docker-credential-{} did not answer with JSON", name)};
  }
  Credentials found;
  found.server = server;
  found.username = parsed.value("Username", "");
  Secret secret{parsed.value("Secret", "")};
  if (found.username == "<token>") {
    found.username.clear();
    found.identity_token = std::move(secret);
  } else {
    found.password = std::move(secret);
  }
  {
    const std::lock_guard guard{heard_->mutex};
    heard_->answers.push_back(found);
  }
  if (found.username.empty() && found.identity_token.empty()) return std::nullopt;
  return found;
}

std::optional<Credentials> RegistryAuth::find_in(const json& config, const std::string& server,
                                                 const Limits& limits) const {
  const auto helpers = config.value("credHelpers", json::object());
  for (const auto& [key, name] : helpers.items()) {
    if (host_of(key) == host_of(server) && name.is_string()) return ask_helper(name.get<std::string>(), server, limits);
  }
  if (const auto store = config.value("credsStore", ""); !store.empty()) {
    if (auto found = ask_helper(store, server, limits)) return found;
  }
  const auto auths = config.value("auths", json::object());
  if (const auto exact = auths.find(server); exact != auths.end()) return from_entry(server, *exact);
  for (const auto& [key, entry] : auths.items()) {
    if (host_of(key) == host_of(server)) return from_entry(key, entry);
  }
  return std::nullopt;
}

std::optional<Credentials> RegistryAuth::find(std::string_view registry, const Limits& limits) const {
  const auto server = key_of(registry);
  if (from_variable_) {
    if (auto found = find_in(*from_variable_, server, limits)) return found;
  }
  return from_file_ ? find_in(*from_file_, server, limits) : std::nullopt;
}

void RegistryAuth::add_secrets(KnownSecrets& secrets) const {
  for (const auto& config : {from_variable_, from_file_}) {
    if (config) add_config(*config, secrets);
  }
  const std::lock_guard guard{heard_->mutex};
  for (const auto& answer : heard_->answers) {
    add_pair(answer.username, answer.password.reveal(), secrets);
    secrets.add(answer.identity_token.reveal());
  }
}

Secret RegistryAuth::header(std::string_view registry, const Limits& limits) const {
  json value = json::object();
  if (const auto found = find(registry, limits)) {
    value["serveraddress"] = found->server;
    if (found->identity_token.empty()) {
      value["username"] = found->username;
      value["password"] = found->password.reveal();
    } else {
      value["identitytoken"] = found->identity_token.reveal();
    }
  }
  return Secret{padded_base64url(value.dump())};
}

}  // namespace codops::engine::docker

#include "lib/engine/kubernetes/credentials.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

constexpr Milliseconds token_file_lasts{60'000};
constexpr Milliseconds plugin_patience{60'000};
// So that a credential doesn't expire on its way.
constexpr Milliseconds expiry_margin{5'000};
// Calls that stood beside the one which found the plugin at fault do not try it again, each for itself.
constexpr Milliseconds failure_lasts{1'000};

// Header values may not have the line break that files end with.
std::string trimmed_token(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

std::map<std::string, Secret> whole_environment() {
  std::map<std::string, Secret> variables;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    if (const auto equals = text.find('='); equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), Secret{std::string{text.substr(equals + 1)}});
    }
  }
  return variables;
}

constexpr std::size_t longest_word = 20;
constexpr std::size_t longest_words = 300;

bool may_be_secret(std::string_view word) {
  const auto is_of_token = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/' || c == '=' || c == '_' || c == '-' || c == '.'; };
  std::size_t run = 0;
  bool digit = false;
  for (const char c : word) {
    run = is_of_token(c) ? run + 1 : 0;
    if (run == 0) digit = false;
    digit = digit || (c >= '0' && c <= '9');
    if (run >= longest_word && digit && word.find('/') == std::string_view::npos) return true;
    if (run >= 2 * longest_word && digit) return true;
  }
  return false;
}

}  // namespace

std::string shown_words(std::string_view text) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    if (const auto gap = text.find_first_not_of(" \t\r\n", at); gap != at) {
      if (!shown.empty() && gap != std::string_view::npos) shown += ' ';
      at = std::min(gap, text.size());
      continue;
    }
    const auto end = std::min(text.find_first_of(" \t\r\n", at), text.size());
    const auto word = text.substr(at, end - at);
    shown += may_be_secret(word) ? std::string{Secret::shown} : std::string{word};
    at = end;
  }
  shown = redact_urls_in(shown);
  return shown.size() <= longest_words ? shown : "… " + shown.substr(shown.size() - longest_words);
}

ExecCredential parse_exec_credential(std::string_view text, std::string_view api_version) {
  const auto value = json::parse(text, nullptr, false);
  if (text_at(value, {"kind"}) != "ExecCredential") throw Failure{Exit::config, "it printed no ExecCredential"};
  if (const auto version = text_at(value, {"apiVersion"}); version != api_version) {
    throw Failure{Exit::config, fmt::format("it answered with \"{}\", not \"{}\"", version, api_version)};
  }
  ExecCredential credential;
  credential.token = Secret{text_at(value, {"status", "token"})};
  credential.certificate_pem = text_at(value, {"status", "clientCertificateData"});
  credential.key_pem = Secret{text_at(value, {"status", "clientKeyData"})};
  credential.expires = time_at(value, {"status", "expirationTimestamp"});
  if (credential.certificate_pem.empty() != credential.key_pem.empty()) {
    throw Failure{Exit::config, "it printed a certificate without its key, or a key without its certificate"};
  }
  if (credential.token.empty() && credential.key_pem.empty()) throw Failure{Exit::config, "it printed neither a token nor a certificate"};
  return credential;
}

std::string exec_info(const Connection& connection) {
  const auto& plugin = connection.credentials.exec.value();
  json info{{"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", {{"interactive", false}}}};
  if (plugin.provide_cluster_info) {
    json cluster{{"server", connection.server.url}, {"config", nullptr}};
    if (!connection.server.tls.ca_pem.empty()) cluster["certificate-authority-data"] = io::to_base64(connection.server.tls.ca_pem);
    if (!connection.server.tls_name.empty()) cluster["tls-server-name"] = connection.server.tls_name;
    if (connection.server.proxy && !connection.server.proxy->empty()) cluster["proxy-url"] = *connection.server.proxy;
    info["spec"]["cluster"] = std::move(cluster);
  }
  return info.dump();
}

Authenticator::Authenticator(const Connection& connection, const Clock& clock) : connection_{connection}, clock_{clock} {}

Secret Authenticator::token_of_file() {
  const auto now = clock_.since_boot();
  if (file_read_ && now - *file_read_ < token_file_lasts) return file_token_;
  try {
    file_token_ = Secret{trimmed_token(io::read_file(connection_.credentials.token_file))};
    file_read_ = now;
  } catch (const Failure& failure) {
    // What was read before may still be accepted: a file is gone for a moment while it is being replaced.
    if (file_token_.empty()) file_token_ = connection_.credentials.token;
    if (file_token_.empty()) throw Failure{Exit::config, fmt::format("the token of user \"{}\" can't be read: {}", connection_.user, failure.message())};
  }
  return file_token_;
}

void Authenticator::ask_plugin(const Limits& limits) {
  const auto& plugin = *connection_.credentials.exec;
  if (plugin_failure_ && clock_.since_boot() - plugin_failed_ < failure_lasts) throw Failure{*plugin_failure_};
  if (plugin.needs_terminal) {
    throw Failure{Exit::config, fmt::format("the plugin \"{}\" of user \"{}\" asks for a terminal (interactiveMode: Always)", plugin.command, connection_.user),
                  "use credentials that need no questions: a service account's token, or a plugin with interactiveMode: IfAvailable"};
  }
  io::Program program;
  program.argv = {plugin.command};
  program.argv.insert(program.argv.end(), plugin.args.begin(), plugin.args.end());
  program.secret_env = whole_environment();
  for (const auto& [name, value] : plugin.env) program.secret_env[name] = value;
  program.secret_env["KUBERNETES_EXEC_INFO"] = Secret{exec_info(connection_)};
  const auto context = fmt::format("the plugin \"{}\" of user \"{}\"", plugin.command, connection_.user);
  try {
    std::string printed;
    constexpr std::size_t most = 1U << 20U;
    const auto outcome = io::run(program, {.out = [&printed](std::string_view bytes) {
                                   printed += bytes;
                                   if (printed.size() > most) throw Failure{Exit::config, "it printed too much"};
                                 }}, limits.within(plugin_patience));
    if (!outcome.status.success()) throw Failure{Exit::config, fmt::format("it {}: {}", outcome.status.text(), shown_words(outcome.error_tail))};
    given_ = parse_exec_credential(printed, plugin.api_version);
    io::wipe(printed);
    ++generation_;
  } catch (Failure& failure) {
    if (limits.cancel.requested()) throw;
    failure.add_context(context);
    if (failure.code() == Exit::deadline) failure.with_hint(fmt::format("it did not answer in time; see what it says alone: {}", plugin.command));
    if (limits.deadline.expired()) throw;
    // Whoever wrote the kubeconfig knows better than codops where the plugin comes from.
    plugin_failure_ = Failure{Exit::config, failure.message(), plugin.install_hint.empty() ? failure.hint() : plugin.install_hint};
    plugin_failed_ = clock_.since_boot();
    throw Failure{*plugin_failure_};
  }
}

Authenticator::Proof Authenticator::proof(const Limits& limits) {
  Proof proof;
  const auto& server = connection_.server;
  if (!server.url.starts_with("https://") && server.unix_socket.empty()) return proof;
  const auto& credentials = connection_.credentials;
  const auto bearer = [&proof](const Secret& token) {
    if (!token.empty()) proof.headers.emplace_back("Authorization", Secret{"Bearer " + token.reveal()});
  };
  const std::lock_guard lock{mutex_};
  if (!credentials.token_file.empty()) {
    bearer(token_of_file());
  } else if (!credentials.token.empty()) {
    bearer(credentials.token);
  } else if (!credentials.username.empty()) {
    proof.headers.emplace_back("Authorization", Secret{"Basic " + io::to_base64(credentials.username + ":" + credentials.password.reveal())});
  } else if (credentials.exec && server.tls.cert_pem.empty()) {
    if (!given_ || (given_->expires && *given_->expires - expiry_margin <= clock_.now())) ask_plugin(limits);
    bearer(given_->token);
    proof.certificate_pem = given_->certificate_pem;
    proof.key_pem = given_->key_pem;
  }
  proof.generation = generation_;
  if (!credentials.impersonate_user.empty()) proof.headers.emplace_back("Impersonate-User", Secret{credentials.impersonate_user});
  if (!credentials.impersonate_uid.empty()) proof.headers.emplace_back("Impersonate-Uid", Secret{credentials.impersonate_uid});
  for (const auto& group : credentials.impersonate_groups) proof.headers.emplace_back("Impersonate-Group", Secret{group});
  for (const auto& [key, values] : credentials.impersonate_extra) {
    for (const auto& value : values) {
      proof.headers.emplace_back("Impersonate-Extra-" + io::percent_encode(ascii_lower(key)), Secret{value});
    }
  }
  return proof;
}

bool Authenticator::refused(const Proof& proof) {
  const auto& credentials = connection_.credentials;
  const std::lock_guard lock{mutex_};
  if (!credentials.token_file.empty()) {
    const auto before = std::exchange(file_token_, Secret{});
    file_read_.reset();
    Secret now;
    try {
      now = token_of_file();
    } catch (const Failure&) {
      file_token_ = before;
      return false;
    }
    return !(now == before);
  }
  if (!credentials.token.empty() || !credentials.username.empty() || !credentials.exec || !connection_.server.tls.cert_pem.empty()) return false;
  // Another thread may have asked the plugin again already.
  if (proof.generation == generation_) given_.reset();
  return true;
}

}  // namespace codops::engine::kubernetes

#include "lib/engine/kubernetes/kubeconfig.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "lib/base/ascii.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/text/yaml.hpp"

namespace codops::engine::kubernetes {
namespace {

namespace fs = std::filesystem;
using text::failure_at;
using text::Node;

// An entry of `clusters`, `users` or `contexts`, and the folder that its relative paths belong to.
struct Named {
  Node node;
  fs::path folder;
  std::string file;
};
using NamedEntries = std::map<std::string, Named>;

struct Merged {
  NamedEntries clusters, users, contexts;
  std::string current;
  std::vector<std::string> read;  // files that were there
};

// The field's text; empty when it is absent or null.
std::string text_field(const Node& node, std::string_view name) {
  const auto* value = node.find(name);
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_scalar()) throw failure_at(value->at, fmt::format("\"{}\" is {}, not text", name, value->kind_name()));
  return value->text;
}

bool flag_field(const Node& node, std::string_view name) {
  const auto* value = node.find(name);
  if (value == nullptr || value->is_null()) return false;
  if (value->kind != Node::Kind::boolean) {
    throw failure_at(value->at, fmt::format("\"{}\" is {}, not true or false", name, value->kind_name()));
  }
  return value->boolean;
}

const Node* list_field(const Node& node, std::string_view name) {
  const auto* value = node.find(name);
  if (value == nullptr || value->is_null()) return nullptr;
  if (!value->is_sequence()) throw failure_at(value->at, fmt::format("\"{}\" is {}, not a list", name, value->kind_name()));
  return value;
}

std::vector<std::string> texts_field(const Node& node, std::string_view name) {
  std::vector<std::string> texts;
  const auto* list = list_field(node, name);
  if (list == nullptr) return texts;
  for (const auto& item : list->items) {
    if (!item.is_scalar()) throw failure_at(item.at, fmt::format("\"{}\" has {} in it, not text", name, item.kind_name()));
    texts.push_back(item.text);
  }
  return texts;
}

// The first file that has a name wins whole.
void merge_named(const Node& document, std::string_view list_name, std::string_view what, const fs::path& file, NamedEntries& into) {
  const auto* list = list_field(document, list_name);
  if (list == nullptr) return;
  std::map<std::string, bool> here;
  for (const auto& item : list->items) {
    if (!item.is_mapping()) throw failure_at(item.at, fmt::format("an entry of \"{}\" is {}", list_name, item.kind_name()));
    const auto name = text_field(item, "name");
    if (!here.emplace(name, true).second) throw failure_at(item.at, fmt::format("\"{}\" is there twice in \"{}\"", name, list_name));
    const auto* value = item.find(what);
    into.emplace(name, Named{value == nullptr ? Node::make_mapping(item.at) : *value, file.parent_path(), file.string()});
  }
}

Merged read_kubeconfigs(const std::vector<std::string>& files, bool must_exist) {
  Merged merged;
  for (const auto& name : files) {
    const fs::path file{name};
    auto content = io::read_file_if_there(file);
    if (!content) {
      if (must_exist) throw Failure{Exit::config, fmt::format("there is no kubeconfig \"{}\"", name)};
      continue;
    }
    const auto document = text::parse_yaml(*content, name);
    io::wipe(*content);
    merged.read.push_back(name);
    if (document.is_null()) continue;
    if (!document.is_mapping()) throw failure_at(document.at, fmt::format("a kubeconfig is a mapping, not {}", document.kind_name()));
    if (const auto kind = text_field(document, "kind"); !kind.empty() && kind != "Config") {
      throw failure_at(document.at, fmt::format("this is a {}, not a kubeconfig", kind));
    }
    merge_named(document, "clusters", "cluster", fs::absolute(file), merged.clusters);
    merge_named(document, "users", "user", fs::absolute(file), merged.users);
    merge_named(document, "contexts", "context", fs::absolute(file), merged.contexts);
    if (merged.current.empty()) merged.current = text_field(document, "current-context");
  }
  return merged;
}

std::string home_folder(const Variables& variables) { return variables("HOME").value_or(""); }

std::string resolved_path(const std::string& path, const fs::path& folder) {
  return path.empty() || fs::path{path}.is_absolute() ? path : (folder / path).lexically_normal().string();
}

// "…-data" is base64 of PEM and wins over the file of the same name.
std::string pem_field(const Named& entry, const std::string& name) {
  const auto data = text_field(entry.node, name + "-data");
  if (!data.empty()) {
    std::string packed;
    for (const char c : data) {
      if (c != '\n' && c != '\r' && c != ' ') packed += c;
    }
    auto decoded = io::from_base64(packed);
    if (!decoded) throw failure_at(entry.node.find(name + "-data")->at, fmt::format("\"{}-data\" is not base64", name));
    if (decoded->find("-----BEGIN ") == std::string::npos) {
      throw failure_at(entry.node.find(name + "-data")->at, fmt::format("\"{}-data\" has no PEM in it", name));
    }
    return *std::move(decoded);
  }
  const auto path = resolved_path(text_field(entry.node, name), entry.folder);
  if (path.empty()) return {};
  try {
    return io::read_file(path);
  } catch (const Failure& failure) {
    throw failure_at(entry.node.find(name)->at, fmt::format("\"{}\": {}", name, failure.message()));
  }
}

const Named& find_named(const NamedEntries& entries, const std::string& name, std::string_view what, const Merged& merged) {
  const auto found = entries.find(name);
  if (found != entries.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, entry] : entries) names.push_back(known);
  const auto near = nearest(name, names);
  throw Failure{Exit::config,
                fmt::format("there is no {} \"{}\" in {}", what, name, merged.read.empty() ? "any kubeconfig" : fmt::format("{}", fmt::join(merged.read, ", "))),
                !near.empty()    ? fmt::format("did you mean \"{}\"?", near)
                : names.empty() ? ""
                                : fmt::format("there {}: {}", names.size() == 1 ? "is" : "are", fmt::join(names, ", "))};
}

bool is_loopback(std::string_view url) {
  const auto start = url.find("://");
  auto host = start == std::string_view::npos ? url : url.substr(start + 3);
  return host.starts_with("127.") || host.starts_with("localhost:") || host.starts_with("localhost/") || host == "localhost" ||
         host.starts_with("[::1]");
}

void read_cluster(const Named& cluster, Connection& connection) {
  const auto& node = cluster.node;
  auto& server = connection.server;
  server.url = text_field(node, "server");
  if (server.url.empty()) throw failure_at(node.at, fmt::format("the cluster \"{}\" has no \"server\"", connection.cluster));
  if (server.url.find("://") == std::string::npos) server.url = "https://" + server.url;
  if (!server.url.starts_with("https://") && !server.url.starts_with("http://")) {
    throw failure_at(node.find("server")->at, fmt::format("\"{}\" is not an https address", redact_url(server.url)));
  }
  if (flag_field(node, "insecure-skip-tls-verify")) {
    throw failure_at(node.find("insecure-skip-tls-verify")->at,
                     fmt::format("the cluster \"{}\" asks for connections that are not verified; codops always verifies", connection.cluster),
                     "put the authority of its certificate into certificate-authority-data, and tls-server-name where the name differs");
  }
  server.tls.ca_pem = pem_field(cluster, "certificate-authority");
  server.tls_name = text_field(node, "tls-server-name");
  if (auto proxy = text_field(node, "proxy-url"); !proxy.empty()) {
    // Names are resolved by the proxy, as client-go does.
    if (proxy.starts_with("socks5://")) proxy.replace(0, 9, "socks5h://");
    server.proxy = std::move(proxy);
  } else if (is_loopback(server.url)) {
    server.proxy = "";
  }
}

ExecPlugin read_plugin(const Node& node, const fs::path& folder, const std::string& user) {
  ExecPlugin plugin;
  plugin.api_version = text_field(node, "apiVersion");
  if (plugin.api_version != "client.authentication.k8s.io/v1" && plugin.api_version != "client.authentication.k8s.io/v1beta1") {
    throw failure_at(node.at, fmt::format("the plugin of user \"{}\" speaks \"{}\"; codops knows client.authentication.k8s.io/v1 and v1beta1", user, plugin.api_version),
                     "a newer version of the plugin, or of the tool that wrote the kubeconfig, speaks v1");
  }
  plugin.command = text_field(node, "command");
  if (plugin.command.empty()) throw failure_at(node.at, fmt::format("the plugin of user \"{}\" has no \"command\"", user));
  if (plugin.command.find('/') != std::string::npos) plugin.command = resolved_path(plugin.command, folder);
  plugin.args = texts_field(node, "args");
  if (const auto* env = list_field(node, "env")) {
    for (const auto& item : env->items) plugin.env.emplace_back(text_field(item, "name"), Secret{text_field(item, "value")});
  }
  plugin.install_hint = text_field(node, "installHint");
  plugin.provide_cluster_info = flag_field(node, "provideClusterInfo");
  plugin.needs_terminal = text_field(node, "interactiveMode") == "Always";
  return plugin;
}

void read_user(const Named& user, Connection& connection) {
  const auto& node = user.node;
  auto& tls = connection.server.tls;
  auto& credentials = connection.credentials;
  tls.cert_pem = pem_field(user, "client-certificate");
  tls.key_pem = Secret{pem_field(user, "client-key")};
  if (tls.cert_pem.empty() != tls.key_pem.empty()) {
    throw failure_at(node.at, fmt::format("the user \"{}\" has a {}", connection.user, tls.key_pem.empty() ? "certificate without its key" : "key without its certificate"));
  }
  credentials.token = Secret{text_field(node, "token")};
  credentials.token_file = resolved_path(text_field(node, "tokenFile"), user.folder);
  credentials.username = text_field(node, "username");
  credentials.password = Secret{text_field(node, "password")};
  credentials.impersonate_user = text_field(node, "as");
  credentials.impersonate_uid = text_field(node, "as-uid");
  credentials.impersonate_groups = texts_field(node, "as-groups");
  if (const auto* extra = node.find("as-user-extra"); extra != nullptr && extra->is_mapping()) {
    for (const auto& entry : extra->entries) credentials.impersonate_extra[entry.key] = texts_field(*extra, entry.key);
  }
  if (const auto* plugin = node.find("exec"); plugin != nullptr && !plugin->is_null()) {
    credentials.exec = read_plugin(*plugin, user.folder, connection.user);
  }
  const bool has_any = !tls.cert_pem.empty() || !credentials.token.empty() || !credentials.token_file.empty() || credentials.exec ||
                       !credentials.username.empty();
  if (const auto* old = node.find("auth-provider"); old != nullptr && !old->is_null() && !has_any) {
    throw failure_at(old->at, fmt::format("the user \"{}\" has an auth-provider, which kubectl dropped in 1.26", connection.user),
                     "let the tool of your provider write the kubeconfig anew: it then has an exec plugin");
  }
}

}  // namespace

Variables process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string{name}.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
  };
}

std::vector<std::string> kubeconfig_files(const ConnectOptions& options, const Variables& variables) {
  if (!options.kubeconfig.empty()) {
    const auto& given = options.kubeconfig;
    return {given.starts_with("~/") ? home_folder(variables) + given.substr(1) : given};
  }
  std::vector<std::string> files;
  if (const auto list = variables("KUBECONFIG"); list && !list->empty()) {
    std::size_t start = 0;
    while (start <= list->size()) {
      const auto end = std::min(list->find(':', start), list->size());
      auto file = list->substr(start, end - start);
      start = end + 1;
      if (!file.empty() && std::find(files.begin(), files.end(), file) == files.end()) files.push_back(std::move(file));
    }
    return files;
  }
  const auto home = home_folder(variables);
  return home.empty() ? files : std::vector<std::string>{home + "/.kube/config"};
}

Connection resolve_connection(const ConnectOptions& options, const Variables& variables) {
  const auto files = kubeconfig_files(options, variables);
  const auto merged = read_kubeconfigs(files, !options.kubeconfig.empty());
  const auto wanted = options.context.empty() ? merged.current : options.context;
  if (wanted.empty()) {
    if (merged.contexts.empty() && options.kubeconfig.empty()) {
      if (auto connection = in_cluster_connection(variables)) {
        if (!options.namespace_.empty()) connection->namespace_ = options.namespace_;
        return *std::move(connection);
      }
    }
    std::vector<std::string> names;
    for (const auto& [name, entry] : merged.contexts) names.push_back(name);
    if (names.empty()) {
      throw Failure{Exit::config, fmt::format("no cluster is known: {}", files.empty() ? "KUBECONFIG is not set and there is no home" : fmt::format("no context in {}", fmt::join(files, ", "))),
                    "set KUBECONFIG, or kubernetes.kubeconfig in codops.yaml"};
    }
    throw Failure{Exit::config, fmt::format("no current context in {}", fmt::join(merged.read, ", ")),
                  fmt::format("set kubernetes.context in codops.yaml to one of: {}", fmt::join(names, ", "))};
  }
  const auto& context = find_named(merged.contexts, wanted, "context", merged);
  Connection connection;
  connection.context = wanted;
  connection.origin = context.file;
  connection.cluster = text_field(context.node, "cluster");
  connection.user = text_field(context.node, "user");
  connection.namespace_ = !options.namespace_.empty() ? options.namespace_ : text_field(context.node, "namespace");
  if (connection.namespace_.empty()) connection.namespace_ = "default";
  read_cluster(find_named(merged.clusters, connection.cluster, "cluster", merged), connection);
  if (!connection.user.empty()) read_user(find_named(merged.users, connection.user, "user", merged), connection);
  connection.server.name = fmt::format("the API server of \"{}\" ({})", wanted, redact_url(connection.server.url));
  return connection;
}

std::optional<Connection> in_cluster_connection(const Variables& variables, const std::string& folder) {
  const auto host = variables("KUBERNETES_SERVICE_HOST"), port = variables("KUBERNETES_SERVICE_PORT");
  if (!host || host->empty() || !port || port->empty()) return std::nullopt;
  const auto token = fs::path{folder} / "token";
  if (!fs::exists(token)) return std::nullopt;
  Connection connection;
  connection.server.url = host->find(':') == std::string::npos ? fmt::format("https://{}:{}", *host, *port) : fmt::format("https://[{}]:{}", *host, *port);
  connection.server.name = fmt::format("the API server ({})", connection.server.url);
  connection.server.tls.ca_pem = io::read_file_if_there(fs::path{folder} / "ca.crt").value_or("");
  connection.credentials.token_file = token.string();
  auto own = io::read_file_if_there(fs::path{folder} / "namespace").value_or("");
  while (!own.empty() && own.back() == '\n') own.pop_back();
  connection.namespace_ = own.empty() ? "default" : own;
  connection.origin = "in-cluster";
  return connection;
}

}  // namespace codops::engine::kubernetes

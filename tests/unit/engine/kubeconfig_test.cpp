#include <doctest/doctest.h>

#include <fstream>

#include "lib/engine/kubernetes/kubeconfig.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"

using namespace codops;
using namespace codops::engine::kubernetes;

namespace {

const std::string pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

struct Home {
  io::TemporaryFolder folder;
  std::map<std::string, std::string> variables{{"HOME", folder.path().string()}};

  std::string write(const std::string& name, const std::string& text) const {
    const auto path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream{path} << text;
    return path.string();
  }
  Variables environment() const {
    return [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables.find(std::string{name});
      return found == variables.end() ? std::nullopt : std::optional{found->second};
    };
  }
  Connection connect(const ConnectOptions& options = {}) const { return resolve_connection(options, environment()); }
  std::string refusal(const ConnectOptions& options = {}) const {
    try {
      connect(options);
      return "accepted";
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      return failure.message() + " | " + failure.hint();
    }
  }
};

std::string config(const std::string& server, const std::string& user, const std::string& cluster_more = {}, const std::string& namespace_ = {}) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: main\n"
         "clusters: [{name: c, cluster: {server: '" + server + "'" + cluster_more + "}}]\n"
         "users: [{name: u, user: {" + user + "}}]\n"
         "contexts: [{name: main, context: {cluster: c, user: u" + (namespace_.empty() ? "" : ", namespace: " + namespace_) + "}}]\n";
}

}  // namespace

TEST_CASE("kubeconfig: the default file, its current context, data before files, paths of its own folder") {
  Home home;
  home.write(".kube/ca.crt", pem);
  home.write(".kube/config", config("https://example.com:6443", "token: t0p", ", certificate-authority: ca.crt", "shop"));
  auto connection = home.connect();
  CHECK(connection.server.url == "https://example.com:6443");
  CHECK(connection.server.tls.ca_pem == pem);
  CHECK(!connection.server.proxy);
  CHECK(connection.credentials.token.reveal() == "t0p");
  CHECK(connection.namespace_ == "shop");
  CHECK(connection.context == "main");
  CHECK(home.connect({.namespace_ = "other"}).namespace_ == "other");

  home.write(".kube/config", config("https://127.0.0.1:6443", "tokenFile: token",
                                    ", certificate-authority: none.crt, certificate-authority-data: " + io::to_base64(pem) +
                                        ", tls-server-name: api.example.com"));
  connection = home.connect();
  CHECK(connection.server.tls.ca_pem == pem);
  CHECK(connection.server.tls_name == "api.example.com");
  CHECK(connection.server.proxy == "");  // loopback never goes through a proxy
  CHECK(connection.namespace_ == "default");
  CHECK(connection.credentials.token_file == (home.folder.path() / ".kube/token").string());

  home.write(".kube/config", config("https://example.com", "username: a, password: b", ", proxy-url: 'socks5://proxy:1080'"));
  CHECK(home.connect().server.proxy == "socks5h://proxy:1080");
  // JSON is YAML.
  home.write(".kube/config", R"({"current-context":"x","contexts":[{"name":"x","context":{"cluster":"k"}}],"clusters":[{"name":"k","cluster":{"server":"https://h"}}]})");
  CHECK(home.connect().server.url == "https://h");
}

TEST_CASE("kubeconfig: of a list the first file that has a name wins whole, missing files are skipped") {
  Home home;
  const auto one = home.write("one", "contexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://one'}}]\n");
  const auto two = home.write("two", "current-context: b\ncontexts: [{name: a, context: {cluster: other, namespace: x}}, {name: b, context: {cluster: c, user: u}}]\n"
                                     "clusters: [{name: c, cluster: {server: 'https://two', tls-server-name: two}}]\nusers: [{name: u, user: {token: t}}]\n");
  home.variables["KUBECONFIG"] = home.folder.path().string() + "/none:" + one + "::" + two + ":" + one;
  CHECK(kubeconfig_files({}, home.environment()).size() == 3);
  const auto current = home.connect();
  CHECK(current.context == "b");
  CHECK(current.server.url == "https://one");
  CHECK(current.server.tls_name.empty());  // no merging of fields
  CHECK(current.credentials.token.reveal() == "t");
  const auto named = home.connect({.context = "a"});
  CHECK(named.namespace_ == "default");
  CHECK(named.cluster == "c");
  // One file alone: no user of the other.
  CHECK(home.refusal({.kubeconfig = one, .context = "a"}).find("there is no user \"u\"") != std::string::npos);
  CHECK(home.refusal({.kubeconfig = "~/none"}).find("there is no kubeconfig") != std::string::npos);
  CHECK(home.connect({.kubeconfig = "~/two"}).server.url == "https://two");
}

TEST_CASE("kubeconfig: what is wrong is said with its place") {
  Home home;
  CHECK(home.refusal().find("no cluster is known") != std::string::npos);
  home.write(".kube/config", config("https://h", "token: x"));
  CHECK(home.refusal({.context = "mian"}).find("did you mean \"main\"?") != std::string::npos);
  home.write(".kube/config", config("https://h", "token: x", ", insecure-skip-tls-verify: true"));
  auto said = home.refusal();
  CHECK(said.find("config:4:") != std::string::npos);
  CHECK(said.find("codops always verifies") != std::string::npos);
  home.write(".kube/config", config("https://h", "client-certificate-data: '!!'"));
  CHECK(home.refusal().find("is not base64") != std::string::npos);
  home.write(".kube/config", config("https://h", "client-certificate-data: " + io::to_base64(pem)));
  CHECK(home.refusal().find("certificate without its key") != std::string::npos);
  home.write(".kube/config", config("https://h", "client-certificate: none.crt, client-key: none.key"));
  CHECK(home.refusal().find("none.crt") != std::string::npos);
  home.write(".kube/config", config("https://h", "auth-provider: {name: gcp}"));
  CHECK(home.refusal().find("auth-provider") != std::string::npos);
  home.write(".kube/config", config("ftp://h", "token: x"));
  CHECK(home.refusal().find("not an https address") != std::string::npos);
  home.write(".kube/config", "kind: Pod\n");
  CHECK(home.refusal().find("this is a Pod") != std::string::npos);
  home.write(".kube/config", "clusters: [{name: a, cluster: {server: x}}, {name: a, cluster: {server: y}}]\n");
  CHECK(home.refusal().find("\"a\" is there twice") != std::string::npos);
  home.write(".kube/config", "contexts: [{name: a, context: {}}, {name: b, context: {}}]\n");
  CHECK(home.refusal().find("one of: a, b") != std::string::npos);
  home.write(".kube/config", config("https://h", "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}"));
  CHECK(home.refusal().find("codops knows") != std::string::npos);
}

TEST_CASE("kubeconfig: a plugin and impersonation") {
  Home home;
  home.write(".kube/config", config("https://h", "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/login, args: [get, token], "
                                                 "env: [{name: A, value: b}], installHint: install it, interactiveMode: IfAvailable, provideClusterInfo: true}, "
                                                 "as: admin, as-groups: [x, y], as-user-extra: {reason: [a]}"));
  const auto connection = home.connect();
  REQUIRE(connection.credentials.exec);
  const auto& plugin = *connection.credentials.exec;
  CHECK(plugin.command == (home.folder.path() / ".kube/bin/login").string());
  CHECK(plugin.args == std::vector<std::string>{"get", "token"});
  CHECK(plugin.env.at(0).second.reveal() == "b");
  CHECK(plugin.install_hint == "install it");
  CHECK(plugin.provide_cluster_info);
  CHECK(!plugin.needs_terminal);
  CHECK(connection.credentials.impersonate_user == "admin");
  CHECK(connection.credentials.impersonate_groups.size() == 2);
  CHECK(connection.credentials.impersonate_extra.at("reason").at(0) == "a");
}

TEST_CASE("kubeconfig: inside a pod, where no file says otherwise") {
  Home home;
  const auto folder = (home.folder.path() / "sa").string();
  CHECK(!in_cluster_connection(home.environment(), folder));
  home.variables["KUBERNETES_SERVICE_HOST"] = "fd00::1";
  home.variables["KUBERNETES_SERVICE_PORT"] = "443";
  CHECK(!in_cluster_connection(home.environment(), folder));
  home.write("sa/token", "abc\n");
  home.write("sa/ca.crt", pem);
  home.write("sa/namespace", "shop\n");
  const auto connection = in_cluster_connection(home.environment(), folder);
  REQUIRE(connection);
  CHECK(connection->server.url == "https://[fd00::1]:443");
  CHECK(connection->server.tls.ca_pem == pem);
  CHECK(connection->namespace_ == "shop");
  CHECK(connection->credentials.token_file == folder + "/token");
}

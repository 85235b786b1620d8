#pragma once
// Everything that is needed to talk to one API server, wherever it was read from (kubeconfig.hpp).
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/secret.hpp"
#include "lib/io/http.hpp"

namespace codops::engine::kubernetes {

// A variable of the environment, nullopt when it is not set.
using Variables = std::function<std::optional<std::string>(std::string_view name)>;
Variables process_environment();

// A program that hands out credentials (client.authentication.k8s.io/v1 and v1beta1).
struct ExecPlugin {
  std::string api_version;
  std::string command;  // with a slash: relative to the kubeconfig's folder, made absolute; else looked up in PATH
  std::vector<std::string> args;
  std::vector<std::pair<std::string, Secret>> env;  // beside our own environment
  std::string install_hint;
  bool provide_cluster_info{false};
  bool needs_terminal{false};  // interactiveMode: Always
  bool operator==(const ExecPlugin&) const = default;
};

struct Credentials {
  Secret token;
  std::string token_file;          // read again a minute after it was read; wins over `token`
  std::string username;            // basic authentication
  Secret password;
  std::optional<ExecPlugin> exec;  // asked only where there is neither token nor client certificate
  std::string impersonate_user, impersonate_uid;
  std::vector<std::string> impersonate_groups;
  std::map<std::string, std::vector<std::string>> impersonate_extra;
};

struct Connection {
  io::HttpServer server;   // url, CA and client certificate, proxy, name for messages
  Credentials credentials; // sent over https or a Unix socket only
  std::string namespace_;  // never empty: "default" where nothing says otherwise
  std::string context, cluster, user;  // names in the kubeconfig; empty in a cluster
  std::string origin;      // "/home/a/.kube/config", "in-cluster": for messages
};

}  // namespace codops::engine::kubernetes

#pragma once
// kubeconfig files as client-go reads them: a list of files in $KUBECONFIG is merged (of a name that several files have
// the first file's entry wins whole; missing files are skipped), --kubeconfig is one file alone, relative paths belong to
// the folder of the file that has them. Without any file and inside a pod: the service account.
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/kubernetes/connection.hpp"

namespace codops::engine::kubernetes {

struct ConnectOptions {
  std::string kubeconfig;  // one file, "~/" allowed; empty: $KUBECONFIG, else ~/.kube/config, else in-cluster
  std::string context;     // empty: the current one
  std::string namespace_;  // empty: the context's, else "default"
};

// Throws Failure{config} with file:line:column where there is one: no such file or context, a field of the wrong type,
// certificates that can't be read, insecure-skip-tls-verify (codops always verifies), the auth-provider of old clients.
Connection resolve_connection(const ConnectOptions& options, const Variables& variables);

// The files that would be read, in order, existing or not.
std::vector<std::string> kubeconfig_files(const ConnectOptions& options, const Variables& variables);

// nullopt outside of a pod. `folder` has token, ca.crt and namespace.
std::optional<Connection> in_cluster_connection(
    const Variables& variables, const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

}  // namespace codops::engine::kubernetes

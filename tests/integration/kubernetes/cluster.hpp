#pragma once
// A real cluster for tests: CODOPS_TEST_KUBE is the directory that tests/support/kube.sh made. Each test has a namespace
// of its own, which goes with the fixture.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/kubeconfig.hpp"
#include "lib/io/process.hpp"
#include "tests/support/source_dir.hpp"

namespace codops::tests {

namespace kubernetes = engine::kubernetes;

class Cluster {
 public:
  enum class Needs { server, node };

  // nullptr, with a message, when there is none to be had.
  static std::unique_ptr<Cluster> find(const std::string& what, Needs needs = Needs::server) {
    const char* required = std::getenv("CODOPS_REQUIRE_SERVICES");
    const bool must = required != nullptr && std::string_view{required} == "1";
    const char* given = std::getenv("CODOPS_TEST_KUBE");
    std::string why;
    if (given == nullptr) why = "CODOPS_TEST_KUBE names no cluster (tests/run.sh starts one)";
    else if (needs == Needs::node && !std::filesystem::exists(std::filesystem::path{given} / "kubelet.pid")) why = "the cluster has no real node";
    if (!why.empty()) {
      if (must) FAIL("needs a Kubernetes cluster: " << why);
      MESSAGE("skipped: " << why);
      return nullptr;
    }
    return std::make_unique<Cluster>(given, what);
  }

  Cluster(const std::string& folder_, const std::string& what)
      : folder{folder_}, api{connection_of(folder_ + "/admin.kubeconfig")} {
    static std::atomic<int> count{0};
    ns = "test-" + what + "-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    api.create({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", ns}}}}, limits);
    // Pods need the account that a controller makes.
    for (const auto& made : {ref("ServiceAccount", "default"), ref("ConfigMap", "kube-root-ca.crt")}) {
      while (!api.find(made, limits)) limits.within(Milliseconds{20}).wait(-1, 0);
    }
  }
  ~Cluster() {
    try {
      api.remove({"v1", "Namespace", "", ns}, {}, Limits{Deadline::after(Milliseconds{10'000}), {}});
    } catch (const Failure& failure) {
      MESSAGE("left behind: " << failure.message());
    }
  }

  static kubernetes::Connection connection_of(const std::string& kubeconfig) {
    return kubernetes::resolve_connection({.kubeconfig = kubeconfig}, [](std::string_view) { return std::nullopt; });
  }

  nlohmann::json config_map(const std::string& name, const nlohmann::json& data) const {
    return {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}, {"namespace", ns}}}, {"data", data}};
  }
  // One that kwok plays: it becomes Running at once.
  nlohmann::json fake_pod(const std::string& name, const std::string& app = "demo") const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"namespace", ns}, {"labels", {{"app", app}}}}},
            {"spec",
             {{"nodeSelector", {{"type", "kwok"}}},
              {"tolerations", {{{"key", "kwok.x-k8s.io/node"}, {"operator", "Exists"}}}},
              {"containers", {{{"name", "main"}, {"image", "none/none:1"}}}}}}};
  }
  kubernetes::ObjectRef ref(const std::string& kind, const std::string& name) const {
    return {kind == "Deployment" || kind == "StatefulSet" ? "apps/v1" : "v1", kind, ns, name};
  }

  // tests/support/kube.sh VERB DIR ARGS…
  void kube(const std::string& verb, const std::vector<std::string>& arguments = {}) const {
    io::Program program;
    program.argv = {codops::tests::source_dir() + "/tests/support/kube.sh", verb, folder};
    program.argv.insert(program.argv.end(), arguments.begin(), arguments.end());
    program.env = io::usual_environment();
    for (const auto& [name, value] : io::environment_of({"CODOPS_KUBE", "KUBEBUILDER_ASSETS", "XDG_CACHE_HOME"})) program.env[name] = value;
    io::capture(program, limits);
  }

  std::string folder;
  kubernetes::Api api;
  std::string ns;
  Limits limits{Deadline::after(Milliseconds{60'000}), {}};
};

}  // namespace codops::tests

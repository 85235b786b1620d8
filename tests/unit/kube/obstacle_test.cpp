#include "lib/kube/obstacle.hpp"

#include <doctest/doctest.h>

using codops::kube::Obstacle;
using codops::kube::obstacle_of;

TEST_CASE("the kubelet's words: what is missing, and what passes") {
  struct Case {
    Obstacle obstacle;
    const char* message;
  };
  // In the kubelet's words (pkg/volume, pkg/kubelet): volumes, environments, projected volumes, after a restart of the API server, the node or
  // the runtime. "no relationship found" was seen on a real node of 1.36; the others are written after its sources.
  const Case cases[] = {
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "keys" : secret "absent" not found)"},
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "keys" : configmap "absent" not found)"},
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "keys" : secrets "absent" not found)"},
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "all" : [configmap "absent" not found, secret "other" not found])"},
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "all" : [configmap "kube-root-ca.crt" not found, secret "absent" not found])"},
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "keys" : references non-existent secret key: absent)"},
      {Obstacle::missing, R"(MountVolume.SetUp failed for volume "keys" : references non-existent config key: absent)"},
      {Obstacle::missing, R"(secret "absent" not found)"},
      {Obstacle::missing, R"(couldn't find key absent in ConfigMap tiny/settings)"},
      {Obstacle::passing, R"(MountVolume.SetUp failed for volume "settings" : configmaps "settings" is forbidden: User "system:node:node-1" cannot get resource "configmaps" in API group "" in the namespace "tiny": no relationship found between node 'node-1' and this object)"},
      {Obstacle::passing, R"(MountVolume.SetUp failed for volume "kube-api-access-x" : failed to fetch token: serviceaccounts "default" is forbidden: User "system:node:node-1" cannot create resource "serviceaccounts/token" in API group "" in the namespace "tiny": no relationship found between node 'node-1' and this object)"},
      {Obstacle::passing, R"(MountVolume.SetUp failed for volume "keys" : failed to sync secret cache: timed out waiting for the condition)"},
      {Obstacle::passing, R"(MountVolume.SetUp failed for volume "kube-api-access-x" : object "tiny"/"kube-root-ca.crt" not registered)"},
      {Obstacle::passing, "services have not yet been read at least once, cannot construct envvars"},
      {Obstacle::passing, R"(failed to reserve container name "web_web-1": name "web_web-1" is reserved for "0f5e")"},
      {Obstacle::other, R"(MountVolume.SetUp failed for volume "kube-api-access-x" : configmap "kube-root-ca.crt" not found)"},
      {Obstacle::other, R"(MountVolume.SetUp failed for volume "data" : timed out)"},
      {Obstacle::other, R"(MountVolume.SetUp failed for volume "secret" : hostPath type check failed: /secret is not a directory)"},
      {Obstacle::other, R"(Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) web-0)"},
      {Obstacle::other, R"(secret ")"},
      {Obstacle::other, ""},
  };
  for (const auto& one : cases) {
    CAPTURE(one.message);
    CHECK(static_cast<int>(obstacle_of(one.message)) == static_cast<int>(one.obstacle));
  }
}

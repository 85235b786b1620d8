#pragma once
// Which objects follow their pods: Services that lead elsewhere, and the Ingresses and routes that name them.
#include <map>
#include <string>
#include <vector>

#include "lib/kube/diff.hpp"
#include "lib/ops/kubernetes/desired.hpp"

namespace codops::ops::kubernetes {

struct Followers {
  std::vector<std::string> services, others;  // keys
  std::vector<std::string> names;             // of both, for people
  std::vector<std::string> gaps;              // why requests fail even so
  bool moved_first{false};                    // a Service leads elsewhere at once: to pods that are ready already

  std::vector<std::string> keys() const;
};

// `diffs`: by the objects' order. `restarted`: keys. `gone`: live objects that are removed last.
Followers followers_of(const std::vector<kube::Object>& objects, const std::vector<kube::ObjectDiff>& diffs, const std::vector<std::string>& restarted,
                       const std::vector<kube::Object>& gone, const Observed& observed);

// What Services of `target` had when it served last and have lost since, by key: as the plans of the runs say that took it from them, as long as
// their journals are kept.
std::map<std::string, std::string> former_addresses(const release::Release& target, const std::vector<kube::Object>& objects, const std::vector<kube::ObjectDiff>& diffs, const Observed& observed);

}  // namespace codops::ops::kubernetes

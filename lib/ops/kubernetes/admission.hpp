#pragma once
// Whether somebody beside the server's own rules may refuse or change objects: webhooks, policies, quotas.
#include <atomic>
#include <set>
#include <string>

#include "lib/ops/kubernetes/questions.hpp"

namespace codops::ops::kubernetes {

class Admission {
 public:
  Admission(Cluster& cluster, const Limits& limits) : cluster_{cluster}, limits_{limits} {}

  // For objects in these namespaces. Nothing is asked twice; the answer is there once the questions are answered.
  void ask(Questions& questions, const std::set<std::string>& namespaces);
  // Not to be allowed to look is a yes. Asks what was not asked yet.
  bool others_decide(const std::set<std::string>& namespaces);

 private:
  void look(const std::string& path);

  Cluster& cluster_;
  Limits limits_;
  std::set<std::string> asked_;
  std::atomic<bool> found_{false};
};

}  // namespace codops::ops::kubernetes

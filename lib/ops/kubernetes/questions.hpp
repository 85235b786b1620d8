#pragma once
// Questions to the API server that don't wait for each other's answers, asked side by side over few connections: a new one costs both ends
// more than most answers do.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/object.hpp"
#include "lib/ops/kubernetes/cluster.hpp"

namespace codops::ops::kubernetes {

class Questions {
 public:
  Questions(Cluster& cluster, const Limits& limits) : cluster_{cluster}, limits_{limits} {}

  // What the question learns is its own to keep, beside those of the others.
  void ask(std::function<void()> question) { questions_.push_back(std::move(question)); }
  // `take` is called once all have been answered, in the order of the questions.
  using Take = std::function<void(std::vector<kube::Object>&& objects)>;
  void list(const std::string& api_version, const std::string& kind, const std::string& namespace_, k8s::Selection selection, Take take);
  // The same; `forbidden` instead of `take` where the user may not look.
  void list_if_allowed(const std::string& api_version, const std::string& kind, const std::string& namespace_, k8s::Selection selection, Take take, std::function<void()> forbidden);

  // Asks all of them. The first failure is thrown, and then nothing is taken.
  void answer();

 private:
  struct Answer {
    std::vector<kube::Object> objects;
    bool forbidden{false};
    Take take;
    std::function<void()> refused;
  };

  Cluster& cluster_;
  Limits limits_;
  std::vector<std::function<void()>> questions_;
  std::vector<std::unique_ptr<Answer>> answers_;
};

// Appends.
Questions::Take into(std::vector<kube::Object>& all);

}  // namespace codops::ops::kubernetes

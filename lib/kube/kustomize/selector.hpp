#pragma once
// `target:` of a patch: every given part is a regular expression over the whole; by present and former names.
#include <optional>
#include <regex>
#include <string>

#include "lib/kube/kustomize/resource.hpp"

namespace codops::kube::kustomize {

class Selector {
 public:
  Selector(const Json& target, const text::Position& at);  // Failure{config} for a bad expression
  bool fits(const Resource& resource) const;

 private:
  struct Part {
    std::optional<std::regex> expression;
    bool fits(const std::string& text) const { return !expression || std::regex_match(text, *expression); }
  };
  bool fits_labels(const Resource& resource, const char* map, const std::string& selector) const;

  Part group_, version_, kind_, name_, namespace_;
  std::string labels_, annotations_;
};

}  // namespace codops::kube::kustomize

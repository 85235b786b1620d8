#pragma once
// From files to one merged, canonical tree: documents, extends, include, several files.
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/compose/canonical.hpp"
#include "lib/compose/environment.hpp"
#include "lib/text/node.hpp"
#include "lib/text/problems.hpp"

namespace codops::compose {

class Loader {
 public:
  Loader(text::Problems& problems, std::vector<std::string>& warnings, std::string home)
      : problems_{problems}, warnings_{warnings}, home_{std::move(home)} {}

  // The files merged in order; relative paths in them are relative to `base`.
  text::Node files(const std::vector<std::string>& paths, const std::string& base, const Variables& variables);

  // Names of the variables that stood in the files.
  const std::set<std::string>& used() const { return used_; }

  // A project's own name as its files give it (the last one that has `name:`), with variables replaced; else "".
  std::string name_in(const std::vector<std::string>& paths, const Variables& variables);

 private:
  using Reference = std::pair<std::string, std::string>;  // file, service

  const std::vector<text::Node>& documents(const std::string& path);
  text::Node interpolated(text::Node document, const Variables& variables);
  text::Node document(text::Node written, const std::string& path, const Place& place, const Variables& variables);
  void extend_all(text::Node& root, const std::string& path, const Place& place, const Variables& variables);
  text::Node extended(const text::Node& services, const std::string& name, const std::string& path,
                      const Place& place, const Variables& variables, std::vector<Reference>& chain);
  text::Node base_service(const text::Node& extends, const text::Node& services, const std::string& name,
                          const std::string& path, const Place& place, const Variables& variables,
                          std::vector<Reference>& chain);
  void include_all(text::Node& root, const Place& place, const Variables& variables);
  void import(text::Node& root, text::Node included);

  text::Problems& problems_;
  std::vector<std::string>& warnings_;
  std::string home_;
  std::map<std::string, std::vector<text::Node>> parsed_;
  std::set<std::string> used_;
  std::vector<std::string> including_;  // the files that include one another, outermost first
};

// `path` as messages show it: relative to the current folder where it is inside.
std::string shown_path(const std::string& path);

}  // namespace codops::compose

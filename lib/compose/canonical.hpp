#pragma once
// One compose file's tree, checked against the table of keys and brought into its long form: short syntaxes expanded,
// values cast, paths made absolute. Merging works on such trees only.
#include <functional>
#include <string>
#include <vector>

#include "lib/compose/keys.hpp"
#include "lib/text/node.hpp"
#include "lib/text/problems.hpp"

namespace codops::compose {

struct Place {
  std::string base;  // absolute: what relative paths of this file are relative to
  std::string home;  // for "~"
};

// Replaces variables in every text of `tree` (keys stay). Problems get the text's position.
void interpolate_tree(text::Node& tree, const std::function<std::string(const text::Node&)>& replace,
                      text::Problems& problems);

class Canonical {
 public:
  Canonical(const Place& place, text::Problems& problems, std::vector<std::string>& warnings)
      : place_{place}, problems_{problems}, warnings_{warnings} {}

  // A whole file, or the value of one key of the table. Values that are wrong are reported and dropped.
  void file(text::Node& root) { value(root, keys(), ""); }
  void value(text::Node& node, const Key& key, const std::string& where);

 private:
  void convert(text::Node& node, const Key& key, const std::string& where);
  void children(text::Node& node, const Key& key, const std::string& where);
  void items(text::Node& node, const Key& key, const std::string& where);
  void ports(text::Node& node, const Key& key, const std::string& where);

  void build(text::Node& node, const Key& key, const std::string& where);
  void depends_on(text::Node& node, const Key& key, const std::string& where);
  void env_files(text::Node& node, const Key& key, const std::string& where);
  void external(text::Node& node, const std::string& where);
  void networks(text::Node& node, const Key& key, const std::string& where);
  void volume(text::Node& node, const Key& key, const std::string& where);
  void object_file(text::Node& node);
  void make_absolute(text::Node& node) const;

  const Place& place_;
  text::Problems& problems_;
  std::vector<std::string>& warnings_;
};

// Joins, tidies and expands "~".
std::string absolute_path(const std::string& path, const Place& place);

}  // namespace codops::compose

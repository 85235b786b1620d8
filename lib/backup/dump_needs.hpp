#pragma once
// What a SQL dump needs of the server that it is restored on, seen while it is checked.
#include <set>
#include <string>
#include <string_view>

#include "lib/backup/manifest.hpp"

namespace codops::backup {

class DumpNeeds {
 public:
  void begins(std::string_view text);    // its first lines, with the version
  void statement(std::string_view sql);
  bool makes_public() const { return makes_public_; }
  // As a backup's own manifest says it, for preflight().
  DatabaseIdentity identity(bool no_owner, bool no_tablespaces = false) const;

 private:
  int major_{};
  bool makes_public_{};
  std::set<std::string> owners_, granted_, extensions_, tablespaces_;
};

}  // namespace codops::backup

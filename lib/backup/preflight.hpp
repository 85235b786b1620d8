#pragma once
// What can be known before a restore writes anything.
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

struct Finding {
  bool blocks{};        // false: worth knowing
  std::string message;  // 'extension "postgis" is not installed on the server'
  std::string hint;
};

// The backup against the server that it would be restored into.
std::vector<Finding> preflight(const DatabaseIdentity& backup, io::postgres::Connection& server, const Limits& limits);
// Throws Failure{data} with all that blocks, if anything does.
void require_possible(const std::vector<Finding>& findings);

}  // namespace codops::backup

#pragma once
// Servers of this checkout that still run after the folder they work in was removed (`git clean -fdx`): no pid file leads to them any more.
#include <filesystem>
#include <string>
#include <vector>

#include "lib/scaffold/dev/local_server.hpp"

namespace codops::scaffold::dev {

struct Orphan {
  ServerProcess process;
  std::string name;    // "PostgreSQL", "Redis"
  bool saves_nothing;  // of its own accord it does not end: it has nowhere to save what it holds
};
std::vector<Orphan> orphans_of(const std::filesystem::path& project);
// What it holds goes with it. Throws Failure{failed} when it does not end.
void end_orphan(const Orphan& orphan, const Limits& limits);

}  // namespace codops::scaffold::dev

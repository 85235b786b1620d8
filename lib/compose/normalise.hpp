#pragma once
// What docker compose adds to and takes from a merged tree: environments, implied dependencies and networks, names,
// disabled profiles, unused resources. Then the checks that need the whole project.
#include <map>
#include <string>
#include <vector>

#include "lib/compose/environment.hpp"
#include "lib/text/node.hpp"
#include "lib/text/problems.hpp"

namespace codops::compose {

struct Normalising {
  std::string project;
  std::string base;  // the project's folder
  std::vector<std::string> profiles;
  const Variables& variables;
  text::Problems& problems;
  std::vector<std::string>& warnings;
  std::vector<std::string>& disabled;
  const std::map<std::string, std::string>& images;  // by service; replaces the file's
  const std::map<std::string, std::string>& files_to_be;  // by path; instead of what is on the disk
};

// The services: after it, check() can see what they refer to.
void normalise(text::Node& root, Normalising& with);
// Networks, volumes, secrets, configs: names, and only those in use.
void finish_resources(text::Node& root, Normalising& with);

// Reports contradictions: unknown references, cycles, values given twice. `disabled`: services whose profile is off.
void check(const text::Node& root, const std::vector<std::string>& disabled, text::Problems& problems);

}  // namespace codops::compose

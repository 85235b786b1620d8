// Which checks wait for which.
#include <map>

#include "lib/health/verdict.hpp"
#include "lib/io/shown_word.hpp"

namespace codops::health {

void check_order(const std::vector<Check>& checks) {
  if (checks.empty()) {
    throw Failure{Exit::config, "there is nothing to check", "name one: codops health-check --url https://host/health"};
  }
  std::map<std::string, const Check*> by_name;
  std::vector<std::string> names;
  for (const auto& check : checks) {
    if (!by_name.emplace(check.name, &check).second) {
      throw Failure{Exit::config, "two checks are named \"" + io::shown_word(check.name) + "\"", "give each a name of its own"};
    }
    names.push_back(check.name);
  }
  std::map<std::string, int> state;  // 1: being visited, 2: done
  const std::function<void(const Check&)> visit = [&](const Check& check) {
    if (state[check.name] == 2) return;
    if (state[check.name] == 1) {
      throw Failure{Exit::config, "the check \"" + io::shown_word(check.name) + "\" waits for itself", "break the circle of \"needs\""};
    }
    state[check.name] = 1;
    for (const auto& parent : check.after) {
      const auto found_parent = by_name.find(parent);
      if (found_parent == by_name.end()) {
        const auto near = nearest(parent, names);
        throw Failure{Exit::config, "the check \"" + io::shown_word(check.name) + "\" waits for \"" + io::shown_word(parent) + "\", which does not exist",
                      near.empty() ? "" : "did you mean \"" + near + "\"?"};
      }
      visit(*found_parent->second);
    }
    state[check.name] = 2;
  };
  for (const auto& check : checks) visit(check);
}

}  // namespace codops::health

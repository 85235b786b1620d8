#pragma once
// The first process of a container, seen from its own machine. The engine's exec, top and archive start processes of their own (20 to
// 200 ms each); where the engine is a local one and this is root, a look into /proc, a signal and a rename do the same at once.
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "lib/engine/docker/types.hpp"
#include "lib/io/fd.hpp"

namespace codops::engine::docker {

class LocalProcess {
 public:
  // nullopt: it runs on another machine or in a PID namespace that isn't ours, it has ended, or this is not root. A number alone proves
  // nothing: its control group must name the container (proc(5), cgroups(7)).
  static std::optional<LocalProcess> of(const ContainerDetails& container);

  struct Child {
    pid_t pid{};
    std::string title;  // its command line, as it has it now; empty: it has just ended
  };
  std::string title() const;
  std::vector<Child> children() const;
  // false: it has ended.
  bool signal(int number) const;
  // A folder as the container sees it, never one outside of it, whatever links lie there. Invalid: there is none.
  io::Fd folder(const std::string& path) const;

 private:
  LocalProcess(pid_t pid, io::Fd proc) : pid_{pid}, proc_{std::move(proc)} {}
  std::string read(const std::string& name) const;

  pid_t pid_;
  io::Fd proc_;  // /proc/PID: of this very process, also when its number is another's by now
};

// A small file that appears whole or not at all, mode 0644, in a folder that others may write to too: no link is followed. false: it
// can't be written there (errno says why).
bool replace_file(const io::Fd& folder, const std::string& temporary, const std::string& name, const std::string& content);

}  // namespace codops::engine::docker

#pragma once
// Which process of which machine: a pid alone is used again.
#include <cstdint>
#include <string>

namespace codops::store {

struct ProcessIdentity {
  std::string boot_id;        // of the kernel
  std::string pid_namespace;
  std::int64_t pid{};
  std::uint64_t start_time{};  // in clock ticks since boot (proc(5), field 22)
};

ProcessIdentity this_process();
// True only when it ran in this pid namespace of this boot, and has ended. Of another machine nothing is known: false.
bool is_gone(const ProcessIdentity& process);
std::string host_name();

}  // namespace codops::store

#pragma once
// TCP ports of this machine: free or not, and who listens.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace codops::scaffold::dev {

// Could somebody listen on `address` ("127.0.0.1", "0.0.0.0", "::", "") now? Tried, not guessed.
bool is_free(const std::string& address, std::uint16_t port);
// The first free one on loopback from `near` upward, none of `taken`; falls back to the kernel's choice.
std::uint16_t free_port(std::uint16_t near, const std::set<std::uint16_t>& taken);

// Without its arguments: a secret may stand in them.
struct Holder {
  pid_t pid{};           // 0: it can't be seen (another user's process)
  std::string name;      // "postgres"
  std::string user;      // who runs it
  std::string text() const;  // "postgres (pid 812, user postgres)", "a process of user 113"
};
// Who listens there, read from /proc: the one that `address` ("127.0.0.1", "::1") leads to, else any. nullopt: nobody that can be seen.
std::optional<Holder> holder_of(std::uint16_t port, const std::string& address = {});
// The user's name; the number where it has none.
std::string user_name(uid_t uid);
// Does that process get what is sent there? Looks at its own descriptors only: holder_of() walks through every process.
bool listens(pid_t pid, std::uint16_t port, const std::string& address = {});

}  // namespace codops::scaffold::dev

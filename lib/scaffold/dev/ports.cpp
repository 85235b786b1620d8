#include "lib/scaffold/dev/ports.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "lib/io/fd.hpp"
#include "lib/io/files.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

struct Listener {
  std::string inode;
  uid_t uid{};
  std::string address;  // as the kernel writes it: of each four bytes the last first, in hexadecimal
};

std::vector<Listener> listeners_on(std::uint16_t port);

// An ordinary user may not try the low ports, on which an engine listens for it all the same: then who listens decides.
bool is_refused(std::uint16_t port) { return errno != EACCES || !listeners_on(port).empty(); }

bool can_listen(int family, const std::string& address, std::uint16_t port) {
  const io::Fd fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!fd) return true;  // no such family here: nobody can have it
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, address.c_str(), &name.sin6_addr) != 1) return true;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return errno == EADDRNOTAVAIL || !is_refused(port);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1) return true;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return !is_refused(port);
  }
  return ::listen(fd.get(), 1) == 0;
}

// Lines of /proc/net/tcp (proc(5)): "sl local_address rem_address st … uid timeout inode"; state 0A listens.
void listeners_in(const char* file, std::uint16_t port, std::vector<Listener>& found) {
  const auto text = io::read_file_if_there(file).value_or("");
  const auto wanted = fmt::format(":{:04X}", port);
  std::string_view rest{text};
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    std::vector<std::string_view> words;
    while (!line.empty()) {
      const auto begin = line.find_first_not_of(' ');
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      const auto end = std::min(line.find(' '), line.size());
      words.push_back(line.substr(0, end));
      line.remove_prefix(end);
    }
    if (words.size() < 10 || words[3] != "0A" || !words[1].ends_with(wanted)) continue;
    Listener one{std::string{words[9]}, 0, std::string{words[1].substr(0, words[1].size() - wanted.size())}};
    std::from_chars(words[7].data(), words[7].data() + words[7].size(), one.uid);
    found.push_back(std::move(one));
  }
}

// Does it get what is sent to `address`? Of loopback ones only; every other, and "", is got by all.
bool covers(const Listener& listener, const std::string& address) {
  const bool is_v6 = listener.address.size() == 32;
  if (listener.address.find_first_not_of('0') == std::string::npos) return is_v6 || address != "::1";
  if (address == "127.0.0.1") return listener.address == "0100007F" || listener.address == "0000000000000000FFFF00000100007F";
  if (address == "::1") return listener.address == "00000000000000000000000001000000";
  return true;
}

bool has_socket(const fs::path& process, const std::string& inode) {
  const auto wanted = fmt::format("socket:[{}]", inode);
  std::error_code hidden;
  for (const auto& fd : fs::directory_iterator{process / "fd", hidden}) {
    std::error_code gone;
    if (fs::read_symlink(fd.path(), gone).string() == wanted) return true;
  }
  return false;
}

std::vector<Listener> listeners_on(std::uint16_t port) {
  std::vector<Listener> found;
  listeners_in("/proc/net/tcp", port, found);
  listeners_in("/proc/net/tcp6", port, found);
  return found;
}

pid_t owner_of_socket(const std::string& inode) {
  std::error_code error;
  for (const auto& process : fs::directory_iterator{"/proc", error}) {
    const auto name = process.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (has_socket(process.path(), inode)) return static_cast<pid_t>(std::stol(name));
  }
  return 0;
}

}  // namespace

bool is_free(const std::string& address, std::uint16_t port) {
  if (address.find(':') != std::string::npos && address != "::") return can_listen(AF_INET6, address, port);
  if (address.empty() || address == "0.0.0.0" || address == "::") return can_listen(AF_INET, "0.0.0.0", port) && can_listen(AF_INET6, "::", port);
  return can_listen(AF_INET, address, port);
}

std::uint16_t free_port(std::uint16_t near, const std::set<std::uint16_t>& taken) {
  for (int port = near; port < near + 100 && port < 65'536; ++port) {
    const auto candidate = static_cast<std::uint16_t>(port);
    if (taken.count(candidate) == 0 && is_free("127.0.0.1", candidate) && is_free("::1", candidate)) return candidate;
  }
  for (int attempt = 0; attempt < 100; ++attempt) {
    const io::Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0) break;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) break;
    if (taken.count(ntohs(name.sin_port)) == 0) return ntohs(name.sin_port);
  }
  return 0;
}

std::string user_name(uid_t uid) {
  std::array<char, 16384> buffer{};
  struct passwd found {};
  struct passwd* entry = nullptr;
  ::getpwuid_r(uid, &found, buffer.data(), buffer.size(), &entry);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
}

std::string Holder::text() const {
  if (pid == 0) return fmt::format("a process of user \"{}\" that can't be seen from here", user);
  return fmt::format("{} (pid {}, user {})", name, pid, user);
}

std::optional<Holder> holder_of(std::uint16_t port, const std::string& address) {
  const auto all = listeners_on(port);
  if (all.empty()) return std::nullopt;
  const auto there = std::find_if(all.begin(), all.end(), [&](const Listener& one) { return covers(one, address); });
  const auto& listener = there == all.end() ? all.front() : *there;
  Holder holder;
  holder.user = user_name(listener.uid);
  holder.pid = owner_of_socket(listener.inode);
  if (holder.pid == 0) return holder;
  const auto folder = fs::path{"/proc"} / std::to_string(holder.pid);
  holder.name = io::read_file_if_there(folder / "comm", 4096).value_or("");
  while (!holder.name.empty() && holder.name.back() == '\n') holder.name.pop_back();
  return holder;
}

bool listens(pid_t pid, std::uint16_t port, const std::string& address) {
  const auto all = listeners_on(port);
  return std::any_of(all.begin(), all.end(), [&](const Listener& one) { return covers(one, address) && has_socket(fs::path{"/proc"} / std::to_string(pid), one.inode); });
}

}  // namespace codops::scaffold::dev

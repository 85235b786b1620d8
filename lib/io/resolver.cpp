#include "lib/io/resolver.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "lib/io/fd.hpp"

namespace codops::io {
namespace {

std::vector<Address> collect(const addrinfo* list) {
  std::vector<Address> out;
  for (; list != nullptr; list = list->ai_next) {
    Address address;
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.size = list->ai_addrlen;
    out.push_back(address);
  }
  return out;
}

Resolver::Answer ask(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  Resolver::Answer answer;
  answer.error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  answer.system_error = errno;
  if (answer.error == 0) {
    answer.addresses = collect(list);
    ::freeaddrinfo(list);
  }
  return answer;
}

bool has_room_for_lookup() {
  // /etc/hosts or nsswitch.conf, a socket, another for TCP.
  std::array<Fd, 3> files;
  for (auto& file : files) {
    file = Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (!file && (errno == EMFILE || errno == ENFILE)) return false;
  }
  return true;
}

// Lookups that hang, of the whole process: they outlive their resolver, and each holds a socket.
std::atomic<std::size_t> hanging{0};

std::size_t most_hanging() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<std::size_t>(std::min<rlim_t>(files.rlim_cur / 8, 256));
}

}  // namespace

std::string to_string(const Address& address) {
  if (address.storage.ss_family == AF_UNIX) return reinterpret_cast<const sockaddr_un&>(address.storage).sun_path;
  char text[NI_MAXHOST] = "";
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&address.storage), address.size, text, sizeof text, nullptr, 0,
                NI_NUMERICHOST);
  return text;
}

std::string to_string(const Address& address, std::uint16_t port) {
  if (address.storage.ss_family == AF_UNIX) return to_string(address);
  return to_string(HostPort{to_string(address), port});
}

void set_port(Address& address, std::uint16_t port) {
  if (address.storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
  } else if (address.storage.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
  }
}

Address unix_address(const std::string& path) {
  Address address;
  auto& un = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.size() >= sizeof un.sun_path) {
    throw Failure{Exit::usage, "the socket path \"" + path + "\" is too long", "use a path below 108 bytes"};
  }
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
  address.size = sizeof un;
  return address;
}

std::vector<Address> numeric_addresses(const std::string& host) {
  // Only what looks numeric: getaddrinfo also takes odd forms such as "1" for 0.0.0.1.
  if (host.find(':') == std::string::npos) {
    in_addr v4{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) != 1) return {};
  }
  return ask(host, AI_NUMERICHOST).addresses;
}

Resolver::Answer Resolver::system_lookup(const std::string& host) {
  auto answer = ask(host, 0);
  // Who can open neither /etc/hosts nor a socket is told the same as who asked for a name that is none.
  if (answer.error != 0 && answer.error != EAI_SYSTEM && !has_room_for_lookup()) {
    answer.error = EAI_SYSTEM;
    answer.system_error = EMFILE;
  }
  return answer;
}

Resolver::Resolver(EventLoop& loop, std::size_t threads, Lookup lookup)
    : loop_{loop}, free_{threads}, lookup_{std::move(lookup)}, self_{std::make_shared<Resolver*>(this)} {}

Resolver::~Resolver() { *self_ = nullptr; }

Resolver::Ticket Resolver::resolve(const std::string& host, Done done) {
  auto ticket = std::make_shared<Done>(std::move(done));
  auto [entry, is_new] = entries_.try_emplace(host);
  entry->second.waiting.push_back(ticket);
  if (entry->second.answer) {
    loop_.mailbox().post([self = self_, host] {
      if (*self != nullptr) (*self)->answered(host, *(*self)->entries_[host].answer);
    });
  } else if (is_new) {
    queue_.push_back(host);
    start_next();
  }
  return ticket;
}

void Resolver::start_next() {
  while (free_ > 0 && !queue_.empty()) {
    auto host = std::move(queue_.front());
    queue_.pop_front();
    --free_;
    enum class Progress { running, hangs, ended };
    const auto progress = std::make_shared<std::atomic<Progress>>(Progress::running);
    auto work = [host, progress, lookup = lookup_, self = self_, mailbox = loop_.mailbox()] {
      auto answer = lookup(host);
      const bool hung = progress->exchange(Progress::ended) == Progress::hangs;
      if (hung) --hanging;
      mailbox.post([host, hung, self, answer = std::move(answer)]() mutable {
        if (*self == nullptr) return;
        if (!hung) ++(*self)->free_;
        (*self)->answered(host, std::move(answer));
        (*self)->start_next();
      });
    };
    try {
      // Detached: nothing can interrupt getaddrinfo, and a deadline must not wait for it.
      std::thread{std::move(work)}.detach();
      // One that takes longer no longer counts, or the names of one dead zone would keep all others waiting.
      constexpr Milliseconds patience{100};
      loop_.after(patience, [progress, self = self_] {
        if (*self == nullptr || hanging >= most_hanging()) return;
        auto running = Progress::running;
        ++hanging;
        if (!progress->compare_exchange_strong(running, Progress::hangs)) {
          --hanging;
          return;
        }
        ++(*self)->free_;
        (*self)->start_next();
      });
    } catch (const std::system_error&) {
      Answer none;
      none.error = EAI_SYSTEM;
      none.system_error = EAGAIN;
      ++free_;
      loop_.mailbox().post([self = self_, host, none] {
        if (*self != nullptr) (*self)->answered(host, none);
      });
    }
  }
}

void Resolver::answered(const std::string& host, Answer answer) {
  auto& entry = entries_[host];
  entry.answer = std::move(answer);
  const auto known = *entry.answer;
  // A lookup that failed is asked again by the next one who wants to know: retries would be pointless otherwise.
  auto waiting = std::exchange(entry.waiting, {});
  if (known.error != 0) entries_.erase(host);
  for (const auto& weak : waiting) {
    if (const auto done = weak.lock()) (*done)(known);
  }
}

ProbeResult dns_trouble(const Resolver::Answer& answer, const std::string& host) {
  ProbeResult result;
  result.stage = Stage::dns;
  result.trouble = Trouble::failed;
  switch (answer.error) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
      result.message = "the name \"" + host + "\" does not exist";
      result.hint = "check its spelling: getent hosts " + host;
      // Name servers know no other letters; who types them means a name that was not asked for.
      if (std::any_of(host.begin(), host.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
        result.trouble = Trouble::unknown;
        result.hint = "write it as name servers know it: xn--…";
      }
      break;
    case EAI_AGAIN:
      result.trouble = Trouble::unknown;
      result.message = "the name server did not answer for \"" + host + "\"";
      result.hint = "check /etc/resolv.conf and the network of this machine";
      break;
    case EAI_SYSTEM:
      result.trouble = answer.system_error == EMFILE || answer.system_error == EAGAIN ? Trouble::busy : Trouble::unknown;
      result.message = "cannot look up \"" + host + "\": " + std::strerror(answer.system_error);
      result.hint = "ulimit -n 1024, or fewer at once: --parallel 16";
      break;
    case EAI_MEMORY:
      result.trouble = Trouble::busy;
      result.message = "no memory to look up \"" + host + "\"";
      break;
    default:
      result.trouble = Trouble::unknown;
      result.message = "cannot look up \"" + host + "\": " + ::gai_strerror(answer.error);
      result.hint = "getent hosts " + host;
  }
  return result;
}

}  // namespace codops::io

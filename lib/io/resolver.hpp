#pragma once
// Names to addresses beside the event loop: getaddrinfo in threads of its own, so that a resolver that hangs holds
// up neither the loop nor a deadline. One lookup a name and loop; numeric addresses need none.
#include <sys/socket.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/io/event_loop.hpp"
#include "lib/io/probe.hpp"

namespace codops::io {

struct Address {
  sockaddr_storage storage{};
  socklen_t size{};
};
std::string to_string(const Address& address);            // numeric, without the port
std::string to_string(const Address& address, std::uint16_t port);
void set_port(Address& address, std::uint16_t port);
Address unix_address(const std::string& path);
std::vector<Address> numeric_addresses(const std::string& host);  // empty: a name

class Resolver {
 public:
  struct Answer {
    std::vector<Address> addresses;
    int error{};  // of getaddrinfo
    int system_error{};
  };
  using Lookup = std::function<Answer(const std::string& host)>;
  using Done = std::function<void(const Answer&)>;

  // `threads`: how many lookups may run at once. `lookup` is called on threads that may outlive the resolver.
  explicit Resolver(EventLoop& loop, std::size_t threads = 16, Lookup lookup = system_lookup);
  ~Resolver();

  // `done` is called on the loop, never before this returns. Dropped once the returned ticket is gone.
  using Ticket = std::shared_ptr<Done>;
  Ticket resolve(const std::string& host, Done done);

  static Answer system_lookup(const std::string& host);

 private:
  struct Entry {
    std::optional<Answer> answer;
    std::vector<std::weak_ptr<Done>> waiting;
  };
  void start_next();
  void answered(const std::string& host, Answer answer);

  EventLoop& loop_;
  std::size_t free_;
  Lookup lookup_;
  std::map<std::string, Entry> entries_;
  std::deque<std::string> queue_;
  std::shared_ptr<Resolver*> self_;  // lets mail that comes late find nobody
};

// The trouble that a failed lookup is.
ProbeResult dns_trouble(const Resolver::Answer& answer, const std::string& host);

}  // namespace codops::io

#pragma once
// What every probe on the event loop shares: the stages it goes through, where it may connect, how it ends.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/secret.hpp"

namespace codops::io {

// In the order in which a probe passes them. `deadline`: it never came to its turn.
enum class Stage { none, dns, connect, tls, request, status, body, deadline };
std::string_view to_string(Stage stage);

struct StageTimes {
  using Duration = std::chrono::microseconds;
  std::optional<Duration> dns, connect, tls, request, body;  // absent: the stage was not entered or did not end
  std::optional<Duration>* find(Stage stage);                // nullptr for the stages without a time
  void add(Stage stage, Duration duration);
};

// Where to connect instead of the address that the target's own name leads to.
struct Via {
  std::string host;  // a name or a numeric address; empty: the target's own
  std::uint16_t port{};
  std::string unix_socket;
};

// Whom to trust and who we are.
struct Trust {
  std::string ca_file;  // PEM; empty: the system's
  std::string client_certificate, client_key;  // PEM files; empty: none
  bool insecure{false};
  Secret key_passphrase{};  // of client_key; nobody is ever asked for it
};

struct Certificate {
  std::string subject, issuer;  // the common name, or else the whole name on one line
  std::vector<std::string> names;  // DNS names and addresses that it is for
  WallTime not_before, not_after;
};

struct TlsFacts {
  std::string version;             // "TLSv1.3"
  std::vector<Certificate> chain;  // the verified chain, leaf first; what the server sent if it did not verify
  bool verified{false};
  bool misses_certificate{false};  // the server asked for one of ours, and there was none
};

enum class Trouble {
  none,
  failed,   // the target is unwell
  unknown,  // could not find out: the fault may be on this side
  busy,     // this process has no descriptor left: try again
};

struct ProbeResult {
  Trouble trouble{Trouble::none};
  Stage stage{Stage::none};  // of the trouble
  std::string message, hint;
  StageTimes times;
  std::string address;  // the peer: "127.0.0.1:443", "[::1]:443", "/run/x.sock"
  std::optional<TlsFacts> tls;
};

// A probe in flight. Destroying it closes what it holds at once; its callback then never comes.
class Probe {
 public:
  virtual ~Probe() = default;
  // Where it is now and what it knows so far: what a report says when it is cut.
  virtual Stage stage() const = 0;
  virtual StageTimes times() const = 0;
  virtual std::string address() const = 0;
  // Files of this machine that it waits for before it asks anybody: `"/etc/ca.pem"`; empty: it waits for the target.
  virtual std::string waits_for() const { return {}; }
};

// "db.example:5432", "[::1]:5432", "[::1]", "host" (then port 0). nullopt: not such a thing.
struct HostPort {
  std::string host;
  std::uint16_t port{};
};
std::optional<HostPort> parse_host_port(std::string_view text);
std::string to_string(const HostPort& address);  // brackets around IPv6

std::string listed(const std::vector<std::string>& names);  // "a", "b"

// The trouble that a failed system call of connecting is, with what to do about it.
ProbeResult connect_trouble(int error, const std::string& where);

}  // namespace codops::io

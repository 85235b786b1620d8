#pragma once
// Where libpq would connect, before it does: it looks names up itself, while everything else on the loop waits.
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace codops::io::postgres {

using Parameters = std::map<std::string, std::string>;  // libpq's keywords

struct Effective {
  Parameters parameters;  // with the service's and libpq's own defaults
  std::string mistake;    // why libpq refuses them, in its words; empty: it does not
};
// Reads the service and password files; nobody is asked and nothing is looked up. Failure{unavailable} without libpq.
Effective effective(const Parameters& parameters);

struct Host {
  std::string name;     // a name, a numeric address, or the folder of a Unix socket; empty: libpq's own folder
  std::string address;  // numeric; empty: not known yet, or there is none to know
  std::string port;     // decimal
  bool is_folder() const { return address.empty() && (name.empty() || name.front() == '/' || name.front() == '@'); }
};
// Those of `host`, `hostaddr` and `port`, in their order. nullopt: the lists do not match each other.
std::optional<std::vector<Host>> hosts_of(const Parameters& parameters);
// The other way round: all three lists of the same length.
void put_hosts(const std::vector<Host>& hosts, Parameters& into);
// 1 to 65535, and nothing but digits.
std::optional<std::uint16_t> port_number(std::string_view text);

}  // namespace codops::io::postgres

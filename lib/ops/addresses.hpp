#pragma once
// Pinned addresses on the traffic network.
#include <cstdint>
#include <set>
#include <string>

namespace codops::ops {

// Hands out the lowest free addresses of an IPv4 subnet ("172.20.0.0/16"), from host 10 on: the engine gives its own
// choices from the bottom. Failure{failed} when none is left; an empty subnet (dry run) gives empty addresses.
class AddressPool {
 public:
  AddressPool(const std::string& subnet, std::set<std::string> taken);
  std::string next();
  // Whether a pinned address belongs to the subnet: one of an earlier network of that name need not. Always, where the subnet is not known.
  bool holds(const std::string& address) const;

 private:
  std::string subnet_;
  std::set<std::string> taken_;
  std::uint32_t base_{};
  std::uint32_t size_{};
  std::uint32_t cursor_{10};
};

}  // namespace codops::ops

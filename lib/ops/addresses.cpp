#include "lib/ops/addresses.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "lib/base/failure.hpp"

namespace codops::ops {

AddressPool::AddressPool(const std::string& subnet, std::set<std::string> taken) : subnet_{subnet}, taken_{std::move(taken)} {
  if (subnet.empty()) return;
  const auto slash = subnet.find('/');
  in_addr address{};
  const int bits = slash == std::string::npos ? -1 : std::atoi(subnet.c_str() + slash + 1);
  if (bits < 8 || bits > 28 || ::inet_pton(AF_INET, subnet.substr(0, slash).c_str(), &address) != 1) {
    throw Failure{Exit::failed, fmt::format("the traffic network has the subnet \"{}\", which is no usable IPv4 subnet", subnet)};
  }
  base_ = ntohl(address.s_addr);
  size_ = 1U << (32U - static_cast<unsigned>(bits));
}

bool AddressPool::holds(const std::string& address) const {
  if (subnet_.empty()) return true;
  in_addr parsed{};
  if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1) return false;
  const auto number = ntohl(parsed.s_addr);
  return number >= base_ && number - base_ < size_;
}

std::string AddressPool::next() {
  if (subnet_.empty()) return {};
  for (; cursor_ + 1 < size_; ++cursor_) {
    in_addr address{htonl(base_ + cursor_)};
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET, &address, text.data(), text.size());
    if (taken_.insert(text.data()).second) return text.data();
  }
  throw Failure{Exit::failed, fmt::format("no address is left in the traffic network {}", subnet_),
                "keep fewer releases: keep_releases in codops.yaml"};
}

}  // namespace codops::ops

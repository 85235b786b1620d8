#pragma once
// What the API server gave a Service that asked for nothing in particular, and that others go by: its address and its ports on the nodes.
#include <string>

#include "lib/kube/object.hpp"

namespace codops::kube {

// JSON object; "" where it has none of it.
std::string address_of(const Object& live);
// Whether it has ports on the nodes.
bool has_node_ports(const std::string& address);
// `service` that asks for those of `address` (what address_of() made) that it leaves open and can have. Itself where there are none.
Object at_address(const Object& service, const std::string& address);

}  // namespace codops::kube

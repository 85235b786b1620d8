#pragma once
// One name's addresses, for a caller that has no event loop (else: resolver.hpp).
#include <optional>

#include "lib/base/cancel.hpp"
#include "lib/io/resolver.hpp"

namespace codops::io {

// nullopt: the deadline came first. Throws when cancelled. The lookup itself goes on in a thread of its own: nothing can interrupt getaddrinfo.
std::optional<Resolver::Answer> look_up(const std::string& host, const Limits& limits);

}  // namespace codops::io

#pragma once
// Objects so simple that all the server's own rules for them are known here: hundreds of them need not be sent twice.
#include <optional>

#include "lib/kube/object.hpp"

namespace codops::kube {

// A ConfigMap, or a Service with nothing but a selector and ports, in which the server's schema and validation find nothing wrong.
// False: it is another one, or something may be wrong with it: the server says what.
bool is_plain(const Object& object);

// What the server would make of `live` when the plain `desired` is applied by codops, to whom alone it belongs: labels, annotations and data
// change, and nothing else. nullopt: there is more to it, or somebody else has written into it; the server says what.
std::optional<Object> plain_result(const Object& live, const Object& desired);

}  // namespace codops::kube

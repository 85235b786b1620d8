#pragma once
// Objects so simple that all the server's own rules for them are known here: hundreds of them need not be sent twice.
#include "lib/kube/object.hpp"

namespace codops::kube {

// A new ConfigMap, or a Service with nothing but a selector and ports, in which the server's schema and validation find nothing wrong.
// False: it is another one, or something may be wrong with it: the server says what.
bool is_plain(const Object& object);

}  // namespace codops::kube

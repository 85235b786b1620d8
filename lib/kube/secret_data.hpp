#pragma once
// ConfigMaps and Secrets as they are applied.
#include "lib/kube/object.hpp"
#include "lib/text/problems.hpp"

namespace codops::kube {

// A Secret's stringData becomes data: what the server makes of stringData belongs to nobody, so that a key taken out of it would stay in the
// cluster, after an undo as well. Base64 is written as the server keeps it, without line ends. Other objects stay as they are.
void settle_secret(Object& object);

// Values of ConfigMaps and Secrets that are no text, as an unquoted number: the server would quote them in its refusal.
void check_texts(const Object& object, text::Problems& problems);

}  // namespace codops::kube

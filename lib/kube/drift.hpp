#pragma once
// What somebody changed by hand: the release's own object against the live one. Only what the server never writes in another way is
// compared; values are never shown.
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

// Of the pod template: images, commands, arguments, environment. What others added beside it is their own business.
// "container web: runs other/x:y, not demo/web:v1", "container web: the variable DB_HOST was changed"
std::vector<std::string> pod_drift(const Object& wanted, const Object& live);
// Variables that somebody other than codops added to containers.
std::vector<std::string> added_variables(const Object& wanted, const Object& live);
// Of a ConfigMap or a Secret: "the key HOST was changed", "the key TLS was removed".
std::vector<std::string> data_drift(const Object& wanted, const Object& live);
// Who wrote to it last that is neither codops nor the cluster itself; "" when nobody did.
std::string last_stranger(const Object& live);

}  // namespace codops::kube

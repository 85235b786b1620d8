#pragma once
// What a release is called whose services don't all have one version: "v1.0.0 + backend v1.1.0".
#include <string>
#include <string_view>

namespace codops::ops {

// The name once `service` has `version`: its newest word holds, and back at the version that the name begins with it needs none.
std::string with_service(std::string_view name, std::string_view service, std::string_view version);

}  // namespace codops::ops

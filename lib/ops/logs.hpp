#pragma once
// Log lines of an environment's containers, each with the container's short name before it.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ops/host.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

// `write` returns false when nobody reads any more. With `follow` one thread a container, until the limits or the end.
void stream_logs(Host& host, const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits);

}  // namespace codops::ops

#pragma once
// Log lines of an environment's containers, each with the container's short name before it.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ops/host.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

// Sends the lines of one container to the two sinks, to their end or for ever.
using LogsOfOne = std::function<void(const target::Container& container, const target::Sink& out, const target::Sink& err)>;

// Of those that the request names among `containers`. `environment`: for the hint when there is none. A common `prefix` of the names is left out.
// `write` returns false when nobody reads any more. With `follow` one thread a container.
void print_logs(std::vector<target::Container> containers, const LogsRequest& request, const std::string& environment, const std::string& prefix, const LogsOfOne& read,
                const std::function<bool(std::string_view)>& write);

// `write` returns false when nobody reads any more. With `follow` one thread a container, until the limits or the end.
void stream_logs(Host& host, const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits);

}  // namespace codops::ops

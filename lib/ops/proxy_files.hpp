#pragma once
// What the files of the proxy say: whether codops' upstreams are included, which services requests are passed to. Their text alone is read.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ops/desired.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

// Gives the proxy's definition (JSON body of POST /containers/create) the volume of the upstream file, and notes in `desired` the volume, what
// codops' file sets for the proxy, and what its configuration lacks. Failure{config} when no file includes the upstreams. A proxy without
// files has its configuration in the image: nothing is known of it.
void join_upstreams(nlohmann::json& body, const release::ServiceRecord& proxy, const settings::Environment& environment, Desired& desired);

// Whether a line of an nginx configuration sends requests to that upstream: "proxy_pass http://backend", "grpc_pass backend:50051",
// "set $to http://backend".
bool passes_to(std::string_view configuration, std::string_view name);
// The port that such a line gives it; empty: none does. Of "set" nothing is said: what a variable names may be asked of a resolver.
std::string port_passed_to(std::string_view configuration, std::string_view name);

// Failure{config} where the proxy's files pass requests to a service behind it with a port: nginx takes none with the name of an upstream.
void refuse_ports(const std::vector<release::ServiceRecord>& services, const std::map<std::string, std::string>& blobs);

// Whether the files of the proxy among `services` send requests to this one.
bool is_led(const release::ServiceRecord& record, const std::vector<release::ServiceRecord>& services, const std::map<std::string, std::string>& blobs);

}  // namespace codops::ops

#pragma once
// Which program of a container carries bytes to one of its ports, and how it is called.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace codops::engine::docker {

// Prints "TOOL HOST" for the first tool there is and the first of `hosts` where the port answers. Exits with 97 when there
// is no tool, with 98 when nobody listens. Needs a shell.
std::vector<std::string> carrier_probe(std::uint16_t port, const std::vector<std::string>& hosts);
inline constexpr int no_carrier = 97;
inline constexpr int nobody_listens = 98;

// The command for what the probe printed; empty for a tool that is not known.
std::vector<std::string> carrier_command(std::string_view tool, const std::string& host, std::uint16_t port);

}  // namespace codops::engine::docker

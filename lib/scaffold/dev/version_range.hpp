#pragma once
// Versions and ranges as package.json writes them (node-semver's grammar without build metadata): ">=18", "^20.1 || 22.x",
// "18 - 20", "~1.2". Pure.
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace codops::scaffold::dev {

using Version = std::array<int, 3>;
// "v20.11.1", "20.11", "10"; what follows a "-" is dropped. nullopt: no version.
std::optional<Version> parse_version(std::string_view text);

// nullopt: the range can't be read (then nothing is demanded).
std::optional<bool> satisfies(const Version& version, std::string_view range);
// The lowest version that the range lets in: what to install. nullopt: none is named.
std::optional<Version> lowest(std::string_view range);

}  // namespace codops::scaffold::dev

#pragma once
// Compose's variables in text: $V, ${V}, ${V:-default}, ${V-default}, ${V:?error}, ${V?error}, ${V:+instead},
// ${V+instead}, nested inside the second part; $$ is a dollar sign; a `$` that begins none of these stays.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace codops::text {

using Lookup = std::function<std::optional<std::string>(std::string_view name)>;
// Called for a $V or ${V} that has no value (it becomes empty).
using OnUnset = std::function<void(std::string_view name)>;

// Throws Failure{config} without a position: on `${` that begins no variable, and on a required one that is missing.
// As in docker compose the second part is always evaluated, so that ${SET:-${MISSING:?}} is an error too.
std::string interpolate(std::string_view text, const Lookup& lookup, const OnUnset& on_unset = {});

}  // namespace codops::text

#pragma once
// Files of NAME=value lines: .env, env_file. Docker compose's dialect: `export`, `NAME: value`, ` #` begins a comment,
// '…' is literal, "…" has escapes and may span lines, $V and ${V…} are replaced outside of single quotes, a NAME alone
// takes its value from the caller's environment.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/text/interpolation.hpp"
#include "lib/text/node.hpp"

namespace codops::text {

struct Assignment {
  std::string name;
  std::optional<std::string> value;  // absent: NAME alone, and the caller has no value for it
  Position at;
};

// In the file's order; of a name that is there twice the last counts. `outside` is asked first for variables in values,
// then the lines above. Throws Failure{config, "file:line: …"}.
std::vector<Assignment> parse_dotenv(std::string_view text, std::string file, const Lookup& outside,
                                     const OnUnset& on_unset = {});

// `format: raw`: NAME=value with everything after `=` as it stands; lines that begin with # are comments.
std::vector<Assignment> parse_raw_dotenv(std::string_view text, std::string file, const Lookup& outside);

}  // namespace codops::text

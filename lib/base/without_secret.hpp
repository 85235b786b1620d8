#pragma once
// Keeping what was sent out of what comes back.
#include "lib/base/secret.hpp"

namespace codops {

// `text` with `secret` replaced by "***" wherever it stands: servers quote in their errors what they were sent. Of a long one its
// first 16 characters are enough (Redis quotes no more than 128 bytes); a very short one counts only as a word of its own.
std::string without_secret(std::string_view text, const Secret& secret);

}  // namespace codops

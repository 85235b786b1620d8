#pragma once
// "https://KEY@host": a key in the place of a URL's user.
#include <string_view>

namespace codops {

// Whether the user of a URL that has no password is a key: longer than a name has to be, and not for a database or ssh, where users are no
// secret. `before`: what stands before "://", its end is the scheme.
bool is_key_of_url(std::string_view before, std::string_view userinfo);

}  // namespace codops

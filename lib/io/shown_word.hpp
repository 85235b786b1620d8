#pragma once
// What people wrote where something else was wanted, fit to be shown or sent.
#include <string>
#include <string_view>

namespace codops::io {

// A word in whose place no URL is wanted: an environment, a container. It may be one all the same ("postgresql://u:password@h/d",
// "u:password@h"), or libpq's "host=h password=x"; what is none of these stays as it is, digests of images too.
std::string shown_word(std::string_view word);
// "HTTPS://h" as "https://h": schemes have no case (RFC 3986, section 3.1).
std::string with_lower_scheme(std::string_view url);
// Why a header can't be sent as it is: a line break in it would make two of it; empty: it can. Never shows the value.
std::string trouble_of_header(std::string_view name, std::string_view value);

}  // namespace codops::io

#pragma once

namespace codops::settings {

// Stands before the name of a variable that is not set, in a text of health.checks that wants it: an empty text would be in every page.
// That check is unknown, the others go on.
inline constexpr char unset_mark = '\x1f';

}  // namespace codops::settings

#pragma once
// What runs code that isn't the file's own statements: DO blocks, functions.
#include <vector>

#include "lib/migrate/words.hpp"

namespace codops::migrate {

// Behind DO: the plain statements of a plpgsql block become parts; `unseen` says what of it can't be read.
void read_do_block(Words& words, Parsed& parsed);
// The functions called from here to the end that may do more than compute a value.
std::vector<Name> free_calls(Words words);

}  // namespace codops::migrate

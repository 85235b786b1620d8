#pragma once
// The parts of ALTER TABLE and CREATE TABLE.
#include "lib/migrate/words.hpp"

namespace codops::migrate {

// From behind the table's name to the end.
void read_alter_actions(Words& words, Parsed& parsed);
// "(column…, constraint…)", when it begins here.
void read_table_items(Words& words, Parsed& parsed);

}  // namespace codops::migrate

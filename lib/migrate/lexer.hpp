#pragma once
// SQL's tokens and the shape of statements, in the room of migrations.
#include "lib/text/sql_lexer.hpp"
#include "lib/text/sql_shape.hpp"

namespace codops::migrate {

using text::sql::equals_ignoring_case;
using text::sql::Lexer;
using text::sql::lower_case;
using text::sql::Token;

}  // namespace codops::migrate

#pragma once
// Sessions of codops' own, which no timeout of the server, the role or the database may end: a lock is held by one that idles for the
// whole of a restore. Waits have their own limits here.
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::backup {

io::postgres::Connection open_session(const io::postgres::Target& target, const Limits& limits);
// For sessions that are a program's own (pg_restore's workers wait for each other), as libpq's `options` take it: what that program does
// not set itself, and what would make other values of the same text. Empty: nothing would end them, and nothing does.
std::string lasting_options(io::postgres::Connection& connection, const Limits& limits);

}  // namespace codops::backup

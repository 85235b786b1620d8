#pragma once
// PGHOST, PGSSLMODE and their like. libpq reads them by itself for whatever a target does not say, one by one: PGHOSTADDR of a shell leads
// a URL with a host of its own to another machine. So they are taken out of the environment once, and given to those targets that
// they are meant for.
#include <map>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::io::postgres {

// Before any other thread runs, and after whoever wants the whole environment has copied it.
void take_environment();
// Back again, for a program that takes this one's place.
void restore_environment();

// The parameters that the caller's variables give to `target`. One that names no host gets all of them; one that does, only who asks and
// with which password where it does not say, and, on another machine, how TLS is checked.
std::map<std::string, std::string> parameters_from_environment(const Target& target);
// The same as variables, for PostgreSQL's own programs.
std::map<std::string, std::string> variables_for(const Target& target);

// Pure: does the environment's `keyword` count for `target`?
bool counts_for(const Target& target, const std::string& keyword);

}  // namespace codops::io::postgres

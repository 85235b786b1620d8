#pragma once
// Does the live schema say what its migrations say? They are replayed into a scratch database, and both are described by
// the catalog and compared.
#include <map>
#include <string>
#include <vector>

#include "lib/migrate/migrate.hpp"
#include "lib/migrate/provision.hpp"

namespace codops::migrate {

// "column public.users.email" → its definition; owners, privileges and comments too. Without the objects of extensions and the history tables.
using Snapshot = std::map<std::string, std::string>;
Snapshot schema_snapshot(io::postgres::Connection& connection, const Limits& limits);

struct Difference {
  std::string object;
  std::string live, replayed;  // empty: not there
};
// Pure. A definition as PostgreSQL would write it once a dump of it was restored.
std::string as_dumped(std::string_view definition);
// Pure. Owners and privileges of an object that only one side has go without saying.
std::vector<Difference> compare(const Snapshot& live, const Snapshot& replayed, bool privileges = true);

struct Verification {
  std::size_t replayed{};  // migrations
  bool privileges{true};               // owners, grants and default privileges were compared
  std::vector<std::string> left_out;   // statements that reach beyond the database: "1_a/migration.sql:3:1: CREATE ROLE"
  std::vector<Difference> differences;
};
// Only what is applied in the live database is replayed. The scratch database is made on the same server (the role needs
// CREATEDB) and dropped afterwards, those too that a killed run left. What `provision` does inside a database is done in it first, as far as
// the live one has it. The live server is not changed: what a script does to it in plain sight is left out; what a function does is rolled back, a Failure.
Verification verify(const Source& source, io::postgres::Connection& connection, const Provision& provision, bool privileges, const Options& options,
                    Reporter& reporter, const Limits& limits);

std::string to_text(const Verification& verification);
std::string to_json(const Verification& verification);

}  // namespace codops::migrate

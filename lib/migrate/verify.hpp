#pragma once
// Does the live schema say what its migrations say? They are replayed into a scratch database, and both are described by
// the catalog and compared.
#include <map>
#include <string>
#include <vector>

#include "lib/migrate/migrate.hpp"

namespace codops::migrate {

// "column public.users.email" → its definition. Without the objects of extensions and the history tables.
using Snapshot = std::map<std::string, std::string>;
Snapshot snapshot(io::postgres::Connection& connection, const Limits& limits);

struct Difference {
  std::string object;
  std::string live, replayed;  // empty: not there
};
std::vector<Difference> compare(const Snapshot& live, const Snapshot& replayed);  // pure

struct Verification {
  std::size_t replayed{};  // migrations
  std::vector<Difference> differences;
};
// Only what is applied in the live database is replayed. The scratch database is made on the same server (the role needs
// CREATEDB) and dropped afterwards. `extensions` are created in it first.
Verification verify(const Source& source, io::postgres::Connection& connection, const std::vector<std::string>& extensions, const Options& options,
                    Reporter& reporter, const Limits& limits);

std::string to_text(const Verification& verification);
std::string to_json(const Verification& verification);

}  // namespace codops::migrate

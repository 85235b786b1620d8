#pragma once
// What a server really holds after a load, in the form in which it was dumped.
#include <map>
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/backup/progress.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

// How the dump's own COPY names a table's columns: `(b, a)`, quoted, by table_key(). An inheritance child may have another order where
// it is made anew. A table that is missing: as the server has them.
using ColumnLists = std::map<std::string, std::string>;

struct ReadBack {
  std::map<std::string, TableContent> found;
  // Tables whose rows can't be compared exactly and were not the same, with why; `found` has of them what was expected. Their rows were
  // compared as they were loaded.
  std::vector<std::string> not_compared;
};

ReadBack read_back(const io::postgres::Target& target, const Manifest& manifest, const ColumnLists& columns, Progress& progress, const Limits& limits);

// The manifest's tables against what was found; empty: the same.
std::string difference(const std::vector<TableContent>& expected, const std::map<std::string, TableContent>& found);

}  // namespace codops::backup

#include "lib/backup/read_back.hpp"

#include <algorithm>
#include <set>

#include "lib/backup/hash_leaves.hpp"
#include "lib/backup/snapshot.hpp"
#include "lib/backup/table_key.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/row_digest.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;

struct Place {
  std::string name;       // quoted, for SQL
  std::string extension;  // that brought the table
  std::string condition;  // "WHERE srid > 50": of which rows pg_dump takes along, the others being the extension's own
};

std::map<std::string, Place> places(Connection& connection, const Limits& limits) {
  const auto rows = connection.query(
      fmt::format("SELECT {}, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), COALESCE(e.extname, ''),"
                  " COALESCE(e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)], '')"
                  " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                  " LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'"
                  "  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
                  " LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid WHERE c.relkind = 'r'",
                  table_key_sql("n.nspname", "c.relname")),
      limits);
  std::map<std::string, Place> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    found.emplace(rows.text(i, 0), Place{std::string{rows.text(i, 1)}, std::string{rows.text(i, 2)}, std::string{rows.text(i, 3)}});
  }
  return found;
}

// As pg_dump does it: dumpTableData_copy() in pg_dump.c.
std::string copy_out_of(const Place& place, std::string_view columns) {
  if (place.condition.empty()) return fmt::format("COPY {} {} TO STDOUT", place.name, columns);
  const auto list = columns.size() > 2 ? columns.substr(1, columns.size() - 2) : std::string_view{"*"};
  return fmt::format("COPY (SELECT {} FROM {} {}) TO STDOUT", list, place.name, place.condition);
}

class Comparing {
 public:
  Comparing(const Manifest& manifest, const ColumnLists& columns) : manifest_{manifest}, columns_{columns} {}

  ReadBack run(Connection& connection, Progress& progress, const Limits& limits) {
    places_ = places(connection, limits);
    for (const auto& table : manifest_.tables) {
      const auto place = place_of(table.table);
      if (place == nullptr) continue;
      progress.at(table.table);
      io::RowDigest digest;
      try {
        connection.copy_out(copy_out_of(*place, list_of(table.table)),
                            [&](std::string_view row) {
                              digest.feed(row);
                              progress.advance(row.size());
                            },
                            limits);
      } catch (const io::postgres::DatabaseError& error) {
        // The extension may be another version of itself here.
        if (error.lost() || place->extension.empty()) throw;
        let_be(table, fmt::format("it is extension \"{}\"'s, whose rows can't be read here as pg_dump read them: {}", place->extension, error.message()));
        continue;
      }
      result_.found[table.table] = {table.table, digest.rows(), digest.hex()};
    }
    settle_leaves(hash_leaves(connection, limits));
    settle_others(connection.server_version() / 10000);
    return std::move(result_);
  }

 private:
  const Place* place_of(const std::string& table) const {
    auto place = places_.find(table);
    if (place == places_.end()) place = std::find_if(places_.begin(), places_.end(), [&](const auto& one) { return plain_name(one.first) == table; });
    return place == places_.end() ? nullptr : &place->second;
  }
  std::string list_of(const std::string& table) const {
    const auto list = columns_.find(table);
    return list == columns_.end() ? std::string{} : list->second;
  }
  void let_be(const TableContent& table, const std::string& why) {
    result_.found[table.table] = table;
    result_.not_compared.push_back(fmt::format("\"{}\" is not compared as it is now: {}", text::printable(table.table, 200), why));
  }

  // Which leaf has a row depends on the server: leaves that have the same rows together are as they should be.
  void settle_leaves(const std::map<std::string, HashRoot>& roots) {
    struct Sum {
      io::RowDigest expected, here;
      std::set<std::string> lists;
    };
    std::map<std::string, Sum> sums;  // by root
    const auto each = [&](const auto& work) {
      for (const auto& table : manifest_.tables) {
        const auto root = roots.find(table.table);
        const auto here = result_.found.find(table.table);
        if (root != roots.end() && here != result_.found.end()) work(table, root->second, sums[root->second.table], here->second);
      }
    };
    each([&](const TableContent& table, const HashRoot& root, Sum& sum, const TableContent& here) {
      sum.expected.add(io::RowDigest::of(table.rows, table.digest));
      sum.here.add(io::RowDigest::of(here.rows, here.digest));
      const auto list = list_of(table.table);
      sum.lists.insert(list.empty() ? root.columns : list);  // of an SQL dump no lists are known
    });
    each([&](const TableContent& table, const HashRoot&, Sum& sum, TableContent& here) {
      if (sum.expected == sum.here) {
        here = table;
      } else if (sum.lists.size() > 1 && sum.expected.rows() == sum.here.rows() && here != table) {
        // A row that moved is other text where the columns have another order.
        let_be(table, "a partition by hash has other columns first than its siblings, and which of them has a row depends on the server; together they have as many");
      }
    });
  }

  void settle_others(int major) {
    const int written_by = manifest_.database ? manifest_.database->server_number / 10000 : 0;
    for (const auto& table : manifest_.tables) {
      const auto here = result_.found.find(table.table);
      if (here == result_.found.end() || here->second == table) continue;
      const auto* place = place_of(table.table);
      if (place != nullptr && !place->extension.empty()) {
        let_be(table, fmt::format("it is extension \"{}\"'s, which brings rows of its own", place->extension));
      } else if (here->second.rows == table.rows && written_by != 0 && written_by != major) {
        // Floating point numbers before and since 12, for one.
        let_be(table, fmt::format("PostgreSQL {} may write the values of {} otherwise; it has as many rows", major, written_by));
      }
    }
  }

  const Manifest& manifest_;
  const ColumnLists& columns_;
  std::map<std::string, Place> places_;
  ReadBack result_;
};

}  // namespace

ReadBack read_back(const io::postgres::Target& target, const Manifest& manifest, const ColumnLists& columns, Progress& progress, const Limits& limits) {
  auto connection = open_for_copy(target, limits);
  return Comparing{manifest, columns}.run(connection, progress, limits);
}

std::string difference(const std::vector<TableContent>& expected, const std::map<std::string, TableContent>& found) {
  std::size_t seen = 0;
  for (const auto& table : expected) {
    auto at = found.find(table.table);
    if (at == found.end()) at = std::find_if(found.begin(), found.end(), [&](const auto& one) { return plain_name(one.first) == table.table; });
    const auto name = text::printable(table.table, 200);
    if (at == found.end()) {
      if (table.rows == 0) continue;
      return fmt::format("\"{}\" is missing", name);
    }
    ++seen;
    if (at->second.rows != table.rows) {
      return fmt::format("\"{}\" has {} rows instead of {}", name, at->second.rows, table.rows);
    }
    if (at->second.digest != table.digest) return fmt::format("\"{}\" has other rows than the manifest says", name);
  }
  if (seen < found.size()) return "there are tables that the manifest does not name";
  return {};
}

}  // namespace codops::backup

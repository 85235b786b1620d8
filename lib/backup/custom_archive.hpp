#pragma once
// pg_dump's custom format as it streams by: PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c and pg_backup_custom.c,
// archive versions 1.12 (PostgreSQL 9.0) to 1.16 (PostgreSQL 17 and 18), uncompressed (-Z0).
#include <cstdint>
#include <functional>
#include <set>
#include <unordered_map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/backup/table_key.hpp"

namespace codops::backup {

inline constexpr int section_data = 3;

struct TocEntry {
  int id{};
  bool has_data{};
  std::string tag;             // the table's name
  std::string description;     // "TABLE", "TABLE DATA", "SEQUENCE SET", "BLOBS", …
  int section{};               // 1 none, 2 pre-data, 3 data, 4 post-data
  std::string definition;      // of entries of the data section without data: "SELECT pg_catalog.setval(…);"; and of those about the database, the encoding and publications
  std::string copy_statement;  // "COPY public.t (a, b) FROM stdin;\n"
  std::string schema;
  std::string owner;

  std::string table() const { return table_key(schema, tag); }  // as the manifest names it
};

struct ArchiveHead {
  int minor{};  // of the archive version 1.minor
  bool compressed{};
  std::string database, server_version, dump_version;
  std::string encoding;  // of all that is in it: "UTF8"
  std::vector<TocEntry> entries;
  std::size_t int_size{4}, offset_size{8};
  std::size_t count_at{}, post_data_at{};  // in `bytes`: the number of entries, the first entry after the data
  std::string bytes;  // everything up to the data: itself an archive that pg_restore reads for all but data
};

// Data of a table that the archive has not: to be added to its table of contents.
struct AddedData {
  std::string table;  // as TocEntry::table()
  std::string copy;   // as Part::copy
  int id{};           // set by with_table_data()
};
// head.bytes with entries for `added`, after all other data; their blocks must follow the others' in the same order.
std::string with_table_data(const ArchiveHead& head, std::vector<AddedData>& added);

// Push bytes in; events come out. Throws Failure{data} for anything that is no such archive.
class ArchiveScanner {
 public:
  struct Events {
    std::function<void(const ArchiveHead&)> head;
    std::function<void(const TocEntry&)> begin;                   // of a table's data, or of the large objects
    std::function<void(std::string_view)> data;                   // of the table
    std::function<void(const TocEntry&)> end;
    std::function<void(std::uint32_t oid)> large_object;          // one begins
    std::function<void(std::string_view)> large_object_data;
  };
  explicit ArchiveScanner(Events events) : events_{std::move(events)} {}

  void feed(std::string_view bytes);
  // Throws unless the archive ended at its end: every entry that announces data has had them.
  void finish();
  const ArchiveHead& head() const { return head_; }

 private:
  enum class State { head, block, block_id, object, chunk, data };
  void feed_head(std::string_view bytes);
  bool parse_head();
  bool take_int(std::string_view& bytes, std::int64_t& into);
  void step(std::string_view& bytes);
  void begin_block(std::int64_t id);
  void end_chunks();

  Events events_;
  ArchiveHead head_;
  State state_{State::head};
  std::size_t next_attempt_{4096};
  std::size_t int_size_{4};
  std::string number_;  // bytes of an integer that a piece ended in
  bool large_objects_{};
  const TocEntry* entry_{};
  std::uint64_t left_{};
  std::unordered_map<std::int64_t, const TocEntry*> by_id_;
  std::set<int> seen_;
};

}  // namespace codops::backup

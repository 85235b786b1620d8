#pragma once
// Redis' RDB files as they stream by: redis/src/rdb.c, versions 1 to 12 (Redis 7.4). Modules' values are refused: only the
// module can tell where they end up.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lib/io/byte_stream.hpp"

namespace codops::backup {

struct RdbKey {
  int database{};
  std::string key;
  std::optional<std::int64_t> expires;  // milliseconds since 1970
};

struct RdbSummary {
  int version{};                            // of the format
  std::map<std::string, std::string> about; // "redis-ver", "used-mem", …
  std::map<int, std::uint64_t> keys;        // by database
  std::map<int, std::uint64_t> lasting;     // those without an expiry
  std::uint64_t functions{};
};

struct RdbEvents {
  // `payload`: what RESTORE takes (type, value, version, CRC64); empty unless values are wanted.
  std::function<void(const RdbKey& key, std::string_view payload)> key;
  std::function<void(std::string_view code)> function;  // what FUNCTION LOAD takes
};

// A copy of the RDB without some of its databases, with a checksum of its own.
struct RdbCopy {
  io::Writer& to;
  std::set<int> without;
};

// Reads to the end, which must be the end of the source. Failure{data} for damage: structure, and CRC64 where the file has one.
// Without `values` nothing is kept in memory; with them one value at a time.
// What `copy` leaves out is neither counted nor told.
RdbSummary read_rdb(io::Reader& source, const RdbEvents& events, bool values, const RdbCopy* copy = nullptr);

// CRC-64 as Redis has it (Jones; reflected, no final inversion), for tests of the above.
std::uint64_t crc64(std::uint64_t crc, std::string_view bytes);

}  // namespace codops::backup

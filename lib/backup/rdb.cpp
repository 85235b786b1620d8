#include "lib/backup/rdb.hpp"

#include <array>
#include <utility>

#include "lib/backup/rdb_bytes.hpp"

namespace codops::backup {
namespace {

constexpr int newest_version = 12;

enum Opcode : std::uint8_t {
  op_slot_info = 244,
  op_function = 245,
  op_module_aux = 247,
  op_idle = 248,
  op_frequency = 249,
  op_about = 250,
  op_resize = 251,
  op_expires_ms = 252,
  op_expires_s = 253,
  op_select = 254,
  op_end = 255,
};

std::array<std::uint64_t, 256> make_crc_table() {
  constexpr std::uint64_t polynomial = 0x95ac9329ac4bc9b5U;  // 0xad93d23594c935a9, reflected
  std::array<std::uint64_t, 256> table{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    auto crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? polynomial : 0U);
    table[byte] = crc;
  }
  return table;
}

class RdbFile {
 public:
  RdbFile(io::Reader& source, const RdbEvents& events, bool values, const RdbCopy* copy) : bytes_{source}, events_{events}, values_{values}, copy_{copy} {
    if (copy != nullptr) bytes_.copy_to(&copy->to);
  }

  RdbSummary read() {
    std::array<char, 9> head{};
    bytes_.take(head.data(), head.size());
    if (std::string_view{head.data(), 5} != "REDIS") rdb_is_damaged("it does not begin as one");
    summary_.version = std::atoi(std::string{head.data() + 5, 4}.c_str());
    if (summary_.version < 1 || summary_.version > newest_version) {
      throw Failure{Exit::data, fmt::format("the RDB has version {}, newer than this codops knows", summary_.version)};
    }
    while (step()) {
    }
    return std::move(summary_);
  }

 private:
  // A length, or (encoded) the kind of a string that is no plain run of bytes.
  struct Length {
    std::uint64_t value{};
    bool encoded{};
  };
  Length length_or_encoding() {
    const auto first = bytes_.byte();
    switch (first >> 6U) {
      case 0: return {first & 0x3FU, false};
      case 1: return {(first & 0x3FU) << 8U | bytes_.byte(), false};
      case 3: return {first & 0x3FU, true};
      default: break;
    }
    if (first == 0x80) return {bytes_.big<4>(), false};
    if (first == 0x81) return {bytes_.big<8>(), false};
    rdb_is_damaged("a length is none");
  }
  std::uint64_t length() {
    const auto it = length_or_encoding();
    if (it.encoded) rdb_is_damaged("a length is none");
    return it.value;
  }

  void skip_string() {
    const auto size = length_or_encoding();
    if (!size.encoded) return bytes_.skip(size.value);
    switch (size.value) {
      case 0: return bytes_.skip(1);
      case 1: return bytes_.skip(2);
      case 2: return bytes_.skip(4);
      case 3: {
        const auto packed = length();
        length();
        return bytes_.skip(packed);
      }
      default: rdb_is_damaged("a string has an unknown encoding");
    }
  }
  void skip_strings(std::uint64_t count) {
    for (; count > 0; --count) skip_string();
  }

  std::string text() {
    const auto size = length_or_encoding();
    if (size.encoded) {
      switch (size.value) {
        case 0: return std::to_string(static_cast<std::int8_t>(bytes_.byte()));
        case 1: return std::to_string(static_cast<std::int16_t>(bytes_.little<2>()));
        case 2: return std::to_string(static_cast<std::int32_t>(bytes_.little<4>()));
        case 3: {
          const auto packed_size = length(), plain_size = length();
          return unpacked(plain(packed_size), plain_size);
        }
        default: rdb_is_damaged("a string has an unknown encoding");
      }
    }
    return plain(size.value);
  }
  std::string plain(std::uint64_t size) {
    if (size > 512U << 20U) rdb_is_damaged("a name of more than 512 MiB");
    std::string value(size, '\0');
    bytes_.take(value.data(), value.size());
    return value;
  }
  // LZF: a byte below 32 is a run of literals, else a copy of what came before.
  static std::string unpacked(std::string_view packed, std::uint64_t size) {
    if (size > 512U << 20U) rdb_is_damaged("a name of more than 512 MiB");
    std::string out;
    out.reserve(size);
    for (std::size_t at = 0; at < packed.size();) {
      const auto next = [&] {
        if (at >= packed.size()) rdb_is_damaged("compressed text ends too early");
        return static_cast<std::uint8_t>(packed[at++]);
      };
      const unsigned control = next();
      if (control < 32) {
        if (at + control + 1 > packed.size()) rdb_is_damaged("compressed text ends too early");
        out.append(packed.substr(at, control + 1));
        at += control + 1;
        continue;
      }
      std::size_t count = control >> 5U;
      if (count == 7) count += next();
      const std::size_t back = ((control & 0x1FU) << 8U | next()) + 1;
      if (back > out.size() || out.size() + count + 2 > size) rdb_is_damaged("compressed text points nowhere");
      for (count += 2; count > 0; --count) out.push_back(out[out.size() - back]);
    }
    if (out.size() != size) rdb_is_damaged("compressed text has another length");
    return out;
  }

  using Passing = RdbBytes::Passing;

  bool step() {
    if (copy_ != nullptr) bytes_.passing(Passing::held);
    const auto type = bytes_.byte();
    if (copy_ != nullptr) place(type);
    switch (type) {
      case op_about: {
        const auto name = text();
        summary_.about[name] = text();
        return true;
      }
      case op_resize: length(), length(); return true;
      case op_slot_info: length(), length(), length(); return true;
      case op_select:
        database_ = static_cast<int>(length());
        left_out_ = copy_ != nullptr && copy_->without.contains(database_);
        if (copy_ != nullptr) bytes_.passing(left_out_ ? Passing::off : Passing::on);
        return true;
      case op_expires_ms: expires_ = static_cast<std::int64_t>(bytes_.little<8>()); return true;
      case op_expires_s: expires_ = static_cast<std::int64_t>(bytes_.little<4>()) * 1000; return true;
      case op_idle: length(); return true;
      case op_frequency: bytes_.skip(1); return true;
      case op_module_aux: module(); return true;
      case op_function: {
        const auto code = text();
        ++summary_.functions;
        if (events_.function) events_.function(code);
        return true;
      }
      case op_end: end(); return false;
      default: entry(type); return true;
    }
  }

  // Whether this item goes into the copy. Which database is meant is only known behind the word that says so.
  void place(std::uint8_t type) {
    if (type == op_select) return;
    const bool of_all = type == op_about || type == op_function || type == op_module_aux || type == op_end;
    bytes_.passing(of_all || !left_out_ ? Passing::on : Passing::off);
  }

  void end() {
    if (copy_ != nullptr) {
      bytes_.passing(Passing::off);
      bytes_.end_copy(summary_.version >= 5);
    }
    if (summary_.version >= 5) {
      const auto sum = bytes_.crc();
      const auto recorded = bytes_.little<8>();
      if (recorded != 0 && recorded != sum) rdb_is_damaged("its checksum differs");
    }
    if (!bytes_.at_end()) rdb_is_damaged("there is more behind its end");
  }

  void entry(std::uint8_t type) {
    RdbKey key{database_, text(), std::exchange(expires_, {})};
    std::string payload;
    if (values_) {
      payload.push_back(static_cast<char>(type));
      bytes_.keep_in(&payload);
    }
    value(type, key.key);
    bytes_.keep_in(nullptr);
    if (left_out_) return;
    if (values_) seal(payload);
    ++summary_.keys[database_];
    if (!key.expires) ++summary_.lasting[database_];
    if (events_.key) events_.key(key, payload);
  }

  // What DUMP puts behind a value.
  void seal(std::string& payload) const {
    payload.push_back(static_cast<char>(summary_.version & 0xFF));
    payload.push_back(static_cast<char>(summary_.version >> 8U & 0xFF));
    auto crc = crc64(0, payload);
    for (int i = 0; i < 8; ++i, crc >>= 8U) payload.push_back(static_cast<char>(crc & 0xFFU));
  }

  void value(std::uint8_t type, const std::string& key) {
    switch (type) {
      case 0:  // string
      case 9: case 10: case 11: case 12: case 13:  // zipmap, ziplists, intset: one blob
      case 16: case 17: case 20:                   // listpacks
        return skip_string();
      case 1: case 2: case 14:  // list, set, quicklist
        return skip_strings(length());
      case 3:  // sorted set with scores as text
        for (auto left = length(); left > 0; --left) {
          skip_string();
          if (const auto size = bytes_.byte(); size < 253) bytes_.skip(size);
        }
        return;
      case 4: return skip_strings(2 * length());  // hash
      case 5:  // sorted set
        for (auto left = length(); left > 0; --left) {
          skip_string();
          bytes_.skip(8);
        }
        return;
      case 18:  // quicklist of listpacks
        for (auto left = length(); left > 0; --left) {
          length();
          skip_string();
        }
        return;
      case 15: return stream(1);
      case 19: return stream(2);
      case 21: return stream(3);
      case 24:  // hash with expiring fields
        bytes_.skip(8);
        for (auto left = length(); left > 0; --left) {
          length();
          skip_strings(2);
        }
        return;
      case 25:
        bytes_.skip(8);
        return skip_string();
      case 6: case 7:
        throw Failure{Exit::data, fmt::format("the value of \"{}\" belongs to a module of Redis, which codops can't restore", key.substr(0, 100))};
      default: rdb_is_damaged(fmt::format("a value has the unknown type {}", type));
    }
  }

  void stream(int generation) {
    skip_strings(2 * length());
    for (int i = 0; i < (generation > 1 ? 8 : 3); ++i) length();
    for (auto groups = length(); groups > 0; --groups) {
      skip_string();
      for (int i = 0; i < (generation > 1 ? 3 : 2); ++i) length();
      for (auto pending = length(); pending > 0; --pending) {
        bytes_.skip(16 + 8);
        length();
      }
      for (auto consumers = length(); consumers > 0; --consumers) {
        skip_string();
        bytes_.skip(generation > 2 ? 16 : 8);
        bytes_.skip(16 * length());
      }
    }
  }

  // What a module keeps beside its values; each item says its kind.
  void module() {
    length();
    for (;;) {
      switch (length()) {
        case 0: return;
        case 1: case 2: length(); break;
        case 3: bytes_.skip(4); break;
        case 4: bytes_.skip(8); break;
        case 5: skip_string(); break;
        default: rdb_is_damaged("a module's data have an unknown kind");
      }
    }
  }

  RdbBytes bytes_;
  const RdbEvents& events_;
  bool values_;
  const RdbCopy* copy_;
  bool left_out_{};
  RdbSummary summary_;
  int database_{};
  std::optional<std::int64_t> expires_;
};

}  // namespace

std::uint64_t crc64(std::uint64_t crc, std::string_view bytes) {
  static const auto table = make_crc_table();
  for (const char c : bytes) crc = table[(crc ^ static_cast<std::uint8_t>(c)) & 0xFFU] ^ (crc >> 8U);
  return crc;
}

RdbSummary read_rdb(io::Reader& source, const RdbEvents& events, bool values, const RdbCopy* copy) { return RdbFile{source, events, values, copy}.read(); }

}  // namespace codops::backup

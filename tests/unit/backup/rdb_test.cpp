#include "lib/backup/rdb.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::backup;

namespace {

std::string rdb(std::string body, int version = 9) {
  std::string text = "REDIS000" + std::to_string(version) + std::move(body) + '\xff';
  auto crc = crc64(0, text);
  for (int i = 0; i < 8; ++i, crc >>= 8U) text.push_back(static_cast<char>(crc & 0xffU));
  return text;
}

RdbSummary read(const std::string& text, bool values = false) {
  io::TextReader reader{text};
  return read_rdb(reader, {}, values);
}

}  // namespace

TEST_CASE("RDB: the checksum is Redis' own") { CHECK(crc64(0, "123456789") == 0xe9c6d914c4b8d9caU); }

TEST_CASE("RDB: keys by database, expiries, and numbers as names") {
  using namespace std::string_literals;
  const auto text = rdb("\xfa\x09redis-ver\x05" "7.0.0\xfe\x00\xfb\x02\x01"s + "\x00\x01" "a\x01" "b"s + "\xfc\x01\x02\x00\x00\x00\x00\x00\x00\x00\x02" "cd\xc0\x7b"s +
                        "\xfe\x02"s + "\x01\xc0\x05\x02\x01x\x01y"s);
  const auto summary = read(text);
  CHECK(summary.keys == std::map<int, std::uint64_t>{{0, 2}, {2, 1}});
  CHECK(summary.lasting == std::map<int, std::uint64_t>{{0, 1}, {2, 1}});
  CHECK(summary.about.at("redis-ver") == "7.0.0");
  std::vector<std::string> names;
  std::optional<std::int64_t> expires;
  io::TextReader reader{text};
  read_rdb(reader, {[&](const RdbKey& key, std::string_view payload) {
                      names.push_back(key.key);
                      if (key.expires) expires = key.expires;
                      CHECK(payload.size() > 10);
                    },
                    {}},
           true);
  CHECK(names == std::vector<std::string>{"a", "cd", "5"});
  CHECK(expires == 513);
}

TEST_CASE("RDB: every truncation and every flipped byte is noticed") {
  using namespace std::string_literals;
  const auto text = rdb("\xfe\x00\x00\x01" "a\x05hello\x05\x01z\x01\x01m12345678"s);
  CHECK(read(text).keys.at(0) == 2);
  for (std::size_t size = 0; size < text.size(); ++size) CHECK_THROWS_AS(read(text.substr(0, size)), Failure);
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    CAPTURE(at);
    CHECK_THROWS_AS(read(damaged), Failure);
  }
  CHECK_THROWS_AS(read(text + "x"), Failure);
  CHECK_THROWS_AS(read(rdb("\xfe\x00\x07\x01" "a"s)), Failure);  // a module's value
}

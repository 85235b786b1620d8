#include "lib/io/row_digest.hpp"

#include <doctest/doctest.h>

using namespace codops::io;

namespace {
RowDigest of(std::string_view text, std::size_t step = 1000) {
  RowDigest digest;
  for (std::size_t at = 0; at < text.size(); at += step) digest.feed(text.substr(at, step));
  return digest;
}
}  // namespace

TEST_CASE("a digest does not depend on the order of rows or the size of pieces, but on every byte") {
  const auto digest = of("1\ta\n2\tb\n\n3\tc\n");
  CHECK(digest.rows() == 4);
  CHECK(digest.hex().size() == 32);
  for (std::size_t step = 1; step < 9; ++step) CHECK(of("1\ta\n2\tb\n\n3\tc\n", step).hex() == digest.hex());
  CHECK(of("3\tc\n\n2\tb\n1\ta\n").hex() == digest.hex());
  CHECK(of("1\ta\n2\tb\n\n3\td\n").hex() != digest.hex());
  CHECK(of("1\ta\n2\tb\n3\tc\n").hex() != digest.hex());
  // A row twice is not a row not at all.
  CHECK(of("x\nx\n").hex() != of("").hex());
}

TEST_CASE("pg_dump's end of data is no row") {
  CHECK(of("1\n2\n\\.\n\n\n").hex() == of("1\n2\n").hex());
  CHECK(of("1\n2\n\\.\n\n\n").rows() == 2);
  CHECK(of("\\\\.\n").rows() == 1);
}

TEST_CASE("digests of parts add up, and an unfinished line is seen") {
  auto first = of("1\n2\n");
  first.add(of("3\n"));
  CHECK(first.hex() == of("1\n2\n3\n").hex());
  CHECK(first.rows() == 3);
  CHECK_FALSE(of("1\n2").complete());
  CHECK(of("1\n").complete());
  CHECK(RowDigest::of(first.rows(), first.hex()) == first);
}

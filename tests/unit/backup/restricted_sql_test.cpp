#include "lib/backup/restricted_sql.hpp"

#include <doctest/doctest.h>

using namespace codops;

namespace {

// In small bites, so that lines are cut anywhere.
std::string restricted(const std::string& sql, std::size_t bite, bool restrict_psql = true) {
  io::TextReader whole{sql};
  struct Bites final : io::Reader {
    Bites(io::Reader& from, std::size_t bite) : from_{from}, bite_{bite} {}
    std::size_t read(char* into, std::size_t size) override { return from_.read(into, std::min(size, bite_)); }
    io::Reader& from_;
    std::size_t bite_;
  } bites{whole, bite};
  backup::RestrictedSql reader{bites, restrict_psql};
  std::string out;
  char buffer[7];
  while (const auto got = reader.read(buffer, sizeof buffer)) out.append(buffer, got);
  return out;
}

std::string without_first_line(const std::string& text) { return text.substr(text.find('\n') + 1); }

}  // namespace

TEST_CASE("SQL for psql: behind a key of its own, without the dump's") {
  const std::string dump = "--\n-- dump\n\\restrict abc\n\nSELECT 1;\nCOPY t FROM stdin;\n\\restrict abc\n\\N\n\\.\n\n" + std::string(5000, 'x') + "\n\\unrestrict abc\nend";
  auto wanted = dump;
  wanted.erase(wanted.find("\\restrict abc\n"), 14);
  wanted.erase(wanted.find("\\unrestrict abc\n"), 16);
  for (const std::size_t bite : {1U, 2U, 13U, 100U, 100000U}) {
    const auto out = restricted(dump, bite);
    CHECK(out.starts_with("\\restrict "));
    CHECK(without_first_line(out) == wanted);
  }
  CHECK(restricted(dump, 50).substr(0, 40) != restricted(dump, 50).substr(0, 40));
  CHECK(restricted(dump, 50, false) == dump);
  // Somebody else's word does not open it again.
  CHECK(without_first_line(restricted("\\restrict a\n\\unrestrict b\n\\! id\n", 5)) == "\\unrestrict b\n\\! id\n");
  CHECK(restricted("", 5).find('\n') == restricted("", 5).size() - 1);
}

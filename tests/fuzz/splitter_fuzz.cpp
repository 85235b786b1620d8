// libFuzzer: for any text, the splitter's pieces joined are the text again, its marks lie inside their piece, and reading the
// statements and preparing the script never does anything worse than a Failure.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/base/failure.hpp"
#include "lib/migrate/lint.hpp"
#include "lib/migrate/splitter.hpp"

using namespace codops::migrate;

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  std::string joined;
  for (const auto& statement : split(text)) {
    joined += statement.piece(text);
    require(statement.begin <= statement.start && statement.start <= statement.stop && statement.stop <= statement.end && statement.begin < statement.end);
    if (statement.has_data()) require(statement.stop <= statement.data_begin && statement.data_begin <= statement.data_end && statement.data_end <= statement.end);
    if (!statement.empty()) parse(statement.sql(text));
    require(position_of(text, statement.start).line >= 1);
  }
  require(joined == text);
  Migration migration;
  migration.name = migration.path = "m";
  migration.script = text;
  lint(migration);
  to_sarif(lint(migration), "", "1");
  return 0;
}

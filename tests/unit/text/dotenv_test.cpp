#include "lib/text/dotenv.hpp"

#include <doctest/doctest.h>

#include <map>

#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::text;

namespace {

const Lookup outside = [](std::string_view name) -> std::optional<std::string> {
  if (name == "OUT") return "outside";
  return std::nullopt;
};

std::map<std::string, std::optional<std::string>> read(std::string_view text) {
  std::map<std::string, std::optional<std::string>> values;
  for (auto& line : parse_dotenv(text, "e.env", outside)) values[line.name] = line.value;
  return values;
}

std::string failure_of(std::string_view text) {
  try {
    read(text);
  } catch (const Failure& failure) {
    return failure.message();
  }
  return "none";
}

}  // namespace

// The values were read off docker compose 2.26.
TEST_CASE("values: quotes, comments, escapes, variables") {
  const auto values = read(
      "A=\"x\\ty\\$OUT \\x \\0101 \\101 \\\"q\\\" \\\\ z\"\n"
      "B='it\\'s \\n \\\\'\n"
      "C=a#b # c\nD=#x\nE= # y\nF=\"a\" # c\n"
      "G=\"multi\nline\"\nH='$OUT'\nI=$OUT-${C}-${NONE:-d}\n"
      "J: yaml\nexport K=1\nexport\tL=2\nM=a\\nb\r\nN=$$x\nO=\n");
  CHECK(values.at("A") == "x\ty$OUT \\x A \\101 \"q\" \\ z");
  CHECK(values.at("B") == "it's \\n \\\\");
  CHECK(values.at("C") == "a#b");
  CHECK(values.at("D") == "#x");
  CHECK(values.at("E") == "# y");
  CHECK(values.at("F") == "a");
  CHECK(values.at("G") == "multi\nline");
  CHECK(values.at("H") == "$OUT");
  CHECK(values.at("I") == "outside-a#b-d");
  CHECK(values.at("J") == "yaml");
  CHECK(values.at("K") == "1");
  CHECK(values.at("L") == "2");
  CHECK(values.at("M") == "a\\nb");
  CHECK(values.at("N") == "$x");
  CHECK(values.at("O") == "");
}

TEST_CASE("a name alone takes the caller's value") {
  const auto values = read("OUT\nMISSING\n# comment\n  X=1\nOUT2=$OUT");
  CHECK(values.at("OUT") == "outside");
  CHECK(values.at("MISSING") == std::nullopt);
  CHECK(values.at("X") == "1");
  CHECK(read("\xEF\xBB\xBF" "A=1\n").contains("A"));
}

TEST_CASE("outside wins over the lines above") {
  CHECK(read("OUT=inside\nB=$OUT\n").at("B") == "outside");
}

TEST_CASE("errors say where") {
  CHECK(failure_of("A=1\nB=\"open\nC=2\n") == "e.env:2:1: a quoted value is never closed");
  CHECK(failure_of("A=1\nE F=2\n") == "e.env:2:1: the name \"E F\" has a space in it");
  CHECK(failure_of("A!=1\n") == "e.env:1:2: unexpected \"!\" in a variable's name");
  CHECK(failure_of("\nA=${1}\n").starts_with("e.env:2:1: \"${1}\""));
  CHECK(failure_of("=1\n") == "e.env:1:1: a variable's name is missing");
}

TEST_CASE("raw files keep everything after the equals sign") {
  const auto lines = parse_raw_dotenv("# c\nA=\"$OUT\" # x\r\n\nOUT\nB\n", "e.env", outside);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].value == "\"$OUT\" # x");
  CHECK(lines[1].value == "outside");
  CHECK(lines[2].value == std::nullopt);
  CHECK(lines[2].at.text() == "e.env:5:1");
}

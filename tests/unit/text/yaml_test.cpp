#include "lib/text/yaml.hpp"

#include <doctest/doctest.h>

#include "lib/text/scalar.hpp"

using namespace codops;
using namespace codops::text;
using Kind = Node::Kind;

namespace {

std::string failure_of(std::string_view yaml) {
  try {
    parse_yaml(yaml, "f.yaml");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::config);
    return failure.message();
  }
  return "none";
}

Node scalar(const std::string& written) { return parse_yaml("v: " + written, "f.yaml").entries.at(0).value; }

}  // namespace

TEST_CASE("plain scalars have the types that Go's YAML gives them") {
  const std::vector<std::tuple<std::string, Kind, std::string>> cases{
      {"true", Kind::boolean, "true"},     {"False", Kind::boolean, "false"}, {"yes", Kind::string, "yes"},
      {"on", Kind::string, "on"},          {"0123", Kind::integer, "83"},     {"0x1F", Kind::integer, "31"},
      {"0o17", Kind::integer, "15"},       {"-0b11", Kind::integer, "-3"},    {"1_000", Kind::integer, "1000"},
      {"+1", Kind::integer, "1"},          {"08", Kind::real, "8"},           {"1.10", Kind::real, "1.1"},
      {"1e3", Kind::real, "1000"},         {".5", Kind::real, "0.5"},         {"1e21", Kind::real, "1e+21"}, {"1e6", Kind::real, "1e+06"}, {"1234567.5", Kind::real, "1.2345675e+06"}, {"999999.5", Kind::real, "999999.5"},
      {"0.0000001", Kind::real, "1e-07"},  {".inf", Kind::real, "+Inf"},      {"22:22", Kind::string, "22:22"},
      {"1.2.3", Kind::string, "1.2.3"},    {"-x", Kind::string, "-x"},          {".", Kind::string, "."},
      {"12ab", Kind::string, "12ab"},      {"\"12\"", Kind::string, "12"},    {"'true'", Kind::string, "true"},
      {"!!str 12", Kind::string, "12"},    {"!!int \"3\"", Kind::integer, "3"},
      {"2024-01-01", Kind::timestamp, "2024-01-01 00:00:00 +0000 UTC"},
      {"2024-02-30", Kind::string, "2024-02-30"},
      {"2024-01-01T10:00:00+02:00", Kind::timestamp, "2024-01-01 10:00:00 +0200 +0200"},
      {"18446744073709551615", Kind::integer, "18446744073709551615"},
      {"18446744073709551616", Kind::real, "1.8446744073709552e+19"}};
  for (const auto& [written, kind, shown] : cases) {
    CAPTURE(written);
    const auto node = scalar(written);
    CHECK(node.kind == kind);
    CHECK(typed_text(node) == shown);
  }
  for (const auto* nothing : {"", "~", "null", "NULL"}) CHECK(scalar(nothing).is_null());
}

TEST_CASE("every value and key knows where it is") {
  const auto root = parse_yaml("a:\n  b: [1, {c: x}]\n", "dir/f.yaml");
  CHECK(root.entry("a")->at.text() == "dir/f.yaml:1:1");
  const auto& list = *root.find("a")->find("b");
  CHECK(list.at.text() == "dir/f.yaml:2:6");
  CHECK(list.items.at(1).entry("c")->at.text() == "dir/f.yaml:2:11");
  CHECK(list.items.at(1).find("c")->at.text() == "dir/f.yaml:2:14");
}

TEST_CASE("a merge is shallow, own keys win, the first of a list wins") {
  const auto root = parse_yaml(
      "a: &a {x: 1, y: {p: 1}}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n  y: {q: 2}\nd: {<<: *b, x: 5}\n", "f.yaml");
  const auto& c = *root.find("c");
  CHECK(c.find("x")->text == "1");
  CHECK(c.find("z")->text == "2");
  CHECK(c.find("y")->find("p") == nullptr);
  CHECK(c.find("y")->find("q")->text == "2");
  CHECK(root.find("d")->find("x")->text == "5");
  CHECK(failure_of("a: {<<: 5}") == "f.yaml:1:9: << takes a mapping or a list of mappings, not a number");
}

TEST_CASE("errors say where") {
  CHECK(failure_of("a: 1\nb: 2\na: 3\n") == "f.yaml:3:1: the key \"a\" is there already, in line 1");
  CHECK(failure_of("a: [1\nb: 2").starts_with("f.yaml:2:2: not valid YAML: "));
  for (const char* cut : {"a: \"x", "a: \"x\n", "a: 'x\n", "a: [\"x\n\n", "a:\n  b: \"x\n  y\n"}) {
    CAPTURE(cut);
    CHECK(failure_of(cut).find("not valid YAML: ") != std::string::npos);
  }
  CHECK(parse_yaml("a: |+\n  x\n\n", "f.yaml").find("a")->text == "x\n\n");
  CHECK(parse_yaml("a: |\n  x\n", "f.yaml").find("a")->text == "x\n");
  CHECK(parse_yaml("a: \"x\n  y\"\n", "f.yaml").find("a")->text == "x y");
  CHECK(failure_of("1: x") == "f.yaml:1:1: the key 1 is a number; keys are text");
  CHECK(failure_of("? [a]\n: x") == "f.yaml:1:3: a key is a list; keys are text");
  CHECK(failure_of("a: &a [*a]") == "f.yaml:1:8: an alias names a value that holds it");
  CHECK(failure_of("a: 1\n---\nb: 2\n").ends_with("a second document begins here; one is expected"));
}

TEST_CASE("aliases can't blow up") {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const auto last = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int copies = 0; copies < 8; ++copies) laughs += ", " + last;
    laughs += "]\n";
  }
  CHECK(failure_of(laughs).find("too many values") != std::string::npos);
  CHECK(failure_of(std::string(100'000, '[')).starts_with("f.yaml:1:"));
}

TEST_CASE("tags that are not YAML's own stay visible") {
  const auto root = parse_yaml("a: !reset null\nb: !override [x]\nc: !reset\n", "f.yaml");
  CHECK(root.find("a")->tag == "!reset");
  CHECK(root.find("b")->tag == "!override");
  CHECK(root.find("c")->tag == "!reset");
}

TEST_CASE("several documents, and none") {
  CHECK(parse_yaml_documents("a: 1\n---\nb: 2\n", "f").size() == 2);
  CHECK(parse_yaml("", "f").is_null());
  CHECK(parse_yaml("# only a comment\n", "f").is_null());
}

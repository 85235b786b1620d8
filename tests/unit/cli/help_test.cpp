#include "cli/help.hpp"

#include <doctest/doctest.h>

#include "cli/render/columns.hpp"
#include "commands/declaration.hpp"

using namespace codops;
using namespace codops::cli;

namespace {

void check_width(const std::string& text) {
  std::size_t start = 0;
  while (start < text.size()) {
    const auto end = std::min(text.find('\n', start), text.size());
    const auto line = text.substr(start, end - start);
    CAPTURE(line);
    CHECK(render::columns(line) <= 100);
    start = end + 1;
  }
}

}  // namespace

TEST_CASE("every verb has examples, help for each parameter, and no wide line") {
  for (const auto& verb : commands::verbs()) {
    CAPTURE(verb.name);
    CHECK_FALSE(verb.summary.empty());
    if (!verb.group.empty()) CHECK_FALSE(verb.examples.empty());
    for (const auto& example : verb.examples) CHECK(example.command.starts_with(verb.name));
    check_width(help_for(std::string{verb.name}, commands::verbs()));
    const auto command = verb.make();
    commands::Declaration declaration;
    command->declare(declaration);
    for (const auto& parameter : declaration.parameters()) {
      CAPTURE(parameter.names);
      CHECK_FALSE(parameter.help.empty());
    }
  }
}

TEST_CASE("the overview opens with what most people came for") {
  const auto text = help_overview(commands::verbs());
  check_width(text);
  CHECK(text.find("codops deploy production") < text.find("codops rollback production"));
  for (const auto& verb : commands::verbs()) {
    if (!verb.group.empty()) CHECK(text.find("\n  " + std::string{verb.name} + " ") != std::string::npos);
  }
}

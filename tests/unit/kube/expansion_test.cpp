#include "lib/kube/expansion.hpp"

#include <doctest/doctest.h>

using codops::kube::expand_references;

TEST_CASE("references in a container's environment") {
  const auto look = [](const std::string& name) -> std::optional<std::string> {
    if (name == "USER") return "shop";
    if (name == "PASSWORD") return "$(USER)";
    return std::nullopt;
  };
  const auto expanded = [&](std::string_view text) { return expand_references(text, look); };
  CHECK(expanded("postgres://$(USER)@db") == "postgres://shop@db");
  CHECK(expanded("$(PASSWORD)") == "$(USER)");  // what is put in is not looked at again
  CHECK(expanded("$(NONE)") == "$(NONE)");
  CHECK(expanded("$$(USER)") == "$(USER)");
  CHECK(expanded("$$$(USER)") == "$shop");
  CHECK(expanded("$USER ${USER} $(USER") == "$USER ${USER} $(USER");
  CHECK(expanded("a$") == "a$");
  CHECK(expanded("$()") == "$()");
}

#include "lib/ops/version_name.hpp"

#include <doctest/doctest.h>

using codops::ops::with_service;

TEST_CASE("the name of a release whose services have several versions") {
  CHECK(with_service("v1.0.0", "backend", "v1.1.0") == "v1.0.0 + backend v1.1.0");
  CHECK(with_service("v1.0.0 + backend v1.1.0", "backend", "v1.2.0") == "v1.0.0 + backend v1.2.0");
  CHECK(with_service("v1.0.0 + backend v1.1.0", "web", "v1.1.0") == "v1.0.0 + backend v1.1.0 + web v1.1.0");
  CHECK(with_service("v1.0.0 + backend v1.1.0 + web v1.1.0", "backend", "v1.0.0") == "v1.0.0 + web v1.1.0");
  CHECK(with_service("v1.0.0 + backend v1.1.0", "back", "v1.1.0") == "v1.0.0 + backend v1.1.0 + back v1.1.0");
  CHECK(with_service("v1.0.0", "backend", "v1.0.0") == "v1.0.0");
  // As an older codops let it grow.
  CHECK(with_service("v1.0.0 + backend v1.1.0 + web v2 + backend v1.0.0", "backend", "v1.1.0") == "v1.0.0 + web v2 + backend v1.1.0");
}

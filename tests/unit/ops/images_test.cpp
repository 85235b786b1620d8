#include "lib/ops/images.hpp"

#include <doctest/doctest.h>

using codops::ops::fits_platform;

TEST_CASE("an image is for the platform that a service asks for, by any of its spellings") {
  for (const char* asked : {"", "linux", "arm64", "linux/arm64", "linux/aarch64", "linux/arm64/v8"}) CHECK(fits_platform("linux/arm64", asked));
  for (const char* asked : {"windows", "amd64", "linux/amd64", "windows/arm64"}) CHECK_FALSE(fits_platform("linux/arm64", asked));
  CHECK(fits_platform("linux/arm/v7", "linux/arm"));
  CHECK(fits_platform("linux/arm/v7", "linux/arm/v7"));
  CHECK_FALSE(fits_platform("linux/arm/v7", "linux/arm/v6"));
  CHECK(fits_platform("/", "linux/amd64"));  // it does not say
}

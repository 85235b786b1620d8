#pragma once
// `migrate:` in codops.yaml. Rows of the schema and the reader are in migrate.cpp.
#include <string>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::settings {

class Values;

struct Migrate {
  bool enabled{true};
  std::string source{"auto"};  // auto, prisma, dbmate, golang-migrate, flyway
  std::string path;            // relative to the project; empty: found by shape
  std::string service;         // whose image has the files; empty: the one with `path` in it, or the checkout
  std::string image_path;      // the folder inside that image; empty: found by shape
  std::string schema;          // empty: ?schema= of the URL, else public
  Milliseconds lock_timeout{std::chrono::seconds{3}};
  Milliseconds statement_timeout{};  // 0: none
  Milliseconds lock_wait{std::chrono::seconds{60}};
  bool strict{};  // lint findings fail a deploy

  bool operator==(const Migrate&) const = default;
};

Migrate read_migrate(const Values& values);

}  // namespace codops::settings

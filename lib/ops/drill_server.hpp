#pragma once
// A PostgreSQL server that an engine has for one drill, gone with the object.
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::ops {

class DrillServer {
 public:
  virtual ~DrillServer() = default;
  virtual io::postgres::Target target() const = 0;  // as its superuser, reached from here
  virtual std::string id() const = 0;               // of its container
  virtual std::string name() const = 0;
  // Why it serves no more, with its last log lines; empty: it does, as far as is known. Never throws.
  virtual std::string ended() = 0;
};

}  // namespace codops::ops

#include "lib/io/postgres_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include "lib/base/failure.hpp"

namespace codops::io::postgres {

void require_library() {
  if (PQlibVersion() != 0) return;
  ::dlerror();
  const auto* why = ::dlopen("libpq.so.5", RTLD_NOW) == nullptr ? ::dlerror() : nullptr;
  throw Failure{Exit::unavailable, fmt::format("PostgreSQL's client library can't be loaded: {}; no database was asked", why == nullptr ? "libpq.so.5" : why),
                "apt-get install libpq5"};
}

}  // namespace codops::io::postgres

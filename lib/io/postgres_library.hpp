#pragma once

namespace codops::io::postgres {

// Before the first call into libpq: a release loads it when it is asked for (cmake/archives/libpq.cpp), and without it every function
// returns 0. Failure{unavailable} when libpq.so.5 is missing or can't be loaded.
void require_library();

}  // namespace codops::io::postgres

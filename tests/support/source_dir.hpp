#pragma once
#include <string>

namespace codops::tests {
// The checkout that the tests were built from: absolute, without a slash at its end.
std::string source_dir();
// The program itself, of the same build.
std::string codops_program();
}  // namespace codops::tests

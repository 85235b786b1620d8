#include "tests/support/source_dir.hpp"

std::string codops::tests::source_dir() { return CODOPS_SOURCE_DIR; }
std::string codops::tests::codops_program() { return CODOPS_PROGRAM; }

// libFuzzer's entry for splitter_check.hpp.
#include <cstdint>

#include "tests/fuzz/splitter_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  codops::tests::check_splitter(std::string{reinterpret_cast<const char*>(data), size});
  return 0;
}

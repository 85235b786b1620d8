// clang++ -fsanitize=fuzzer,address: dotenv files, variables and YAML must end in a value or a Failure, never worse.
// tests/fuzz/run.sh builds and runs it.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/failure.hpp"
#include "lib/compose/short_syntax.hpp"
#include "lib/text/dotenv.hpp"
#include "lib/text/interpolation.hpp"
#include "lib/text/yaml.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const codops::text::Lookup lookup = [](std::string_view name) -> std::optional<std::string> {
    if (name == "A") return "value";
    return std::nullopt;
  };
  const auto attempt = [](const auto& what) {
    try {
      what();
    } catch (const codops::Failure&) {
    }
  };
  attempt([&] { codops::text::interpolate(text, lookup); });
  attempt([&] { codops::text::parse_dotenv(text, "f", lookup); });
  attempt([&] { codops::text::parse_yaml_documents(text, "f", {2000}); });
  codops::compose::split_words(text);
  codops::compose::parse_go_duration(text);
  const auto written = codops::text::Node::make_string(std::string{text}, {});
  attempt([&] { codops::compose::ports_of(written); });
  attempt([&] { codops::compose::volume_of(written); });
  return 0;
}

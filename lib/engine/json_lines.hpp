#pragma once
// JSON values one after another, as /events, pull and build send them: cut out of a byte stream, however it arrives.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace codops::engine {

class JsonLines {
 public:
  void feed(std::string_view bytes) { text_ += bytes; }
  // The next whole value; nullopt: more bytes are needed. Throws Failure{unavailable} for a line that is not JSON, or
  // one longer than 16 MiB.
  std::optional<nlohmann::json> next();
  // At the end of the stream: true when half a value is left.
  bool has_rest() const;

 private:
  std::string text_;
  std::size_t start_{0}, scanned_{0};
};

}  // namespace codops::engine

#pragma once
// The text armour of age files: PEM, strict, with only white space around it.
#include "lib/io/crypto_age.hpp"

namespace codops::io::age {

inline constexpr std::string_view armor_begin = "-----BEGIN AGE ENCRYPTED FILE-----";
inline constexpr std::string_view armor_end = "-----END AGE ENCRYPTED FILE-----";

// Throws AgeFailure{armor} for anything that is not exactly one armoured file.
class ArmorReader final : public Reader {
 public:
  explicit ArmorReader(Reader& source) : source_{source} {}
  std::size_t read(char* into, std::size_t size) override;

 private:
  std::optional<std::string> next_line();  // without LF or CRLF; nullopt at the end
  void begin();
  bool decode_line();
  void require_only_space_left();

  Reader& source_;
  std::string raw_, decoded_;
  std::size_t raw_at_{}, decoded_at_{};
  bool begun_{}, short_line_seen_{}, ended_{};
};

}  // namespace codops::io::age

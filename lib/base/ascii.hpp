#pragma once
// ASCII letters, whatever the locale: what protocols mean by "case does not matter".
#include <string>
#include <string_view>

namespace codops {

inline std::string ascii_lower(std::string_view text) {
  std::string made{text};
  for (auto& c : made) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return made;
}

}  // namespace codops

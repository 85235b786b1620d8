#include "lib/base/failure.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace codops {

Failure::Failure(Exit code, std::string message, std::string hint)
    : code_{code}, message_{std::move(message)}, hint_{std::move(hint)} {}

Failure& Failure::add_context(std::string_view context) {
  message_ = std::string{context} + ": " + message_;
  return *this;
}

Failure& Failure::with_hint(std::string hint) {
  if (hint_.empty()) hint_ = std::move(hint);
  return *this;
}

Failure& Failure::with_code(Exit code) {
  code_ = code;
  return *this;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
    }
  }
  return row[b.size()];
}

}  // namespace codops

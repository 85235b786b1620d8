#pragma once
// A value that must not be shown: it has no operator<<, and prints as "***" wherever text is made of it.
#include <string>
#include <string_view>
#include <utility>

namespace codops {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_{std::move(value)} {}

  // The only way to the value; named so that a reader finds every use.
  const std::string& reveal() const noexcept { return value_; }
  bool empty() const noexcept { return value_.empty(); }
  static constexpr std::string_view shown = "***";

  bool operator==(const Secret&) const = default;

 private:
  std::string value_;
};

// Replaces the password of a URL's userinfo ("scheme://user:password@host") by "***". The first form is for what is one URL or was meant
// for one ("https//user:password@host", "user:password@host"), the second for every URL inside a text, the rest of which stays as it is.
std::string redact_url(std::string_view url);
std::string redact_urls_in(std::string_view text);

}  // namespace codops

// What other sources need of fmt's shared library: its functions, made inline by FMT_HEADER_ONLY and compiled here alone because their
// addresses are taken (cmake/archives.cmake). A newer fmt that needs one more says so when codops is linked.
#define FMT_HEADER_ONLY 1
#include <fmt/format.h>

namespace codops::archives {

struct Kept {
  std::string (*vformat)(fmt::string_view, fmt::format_args) = &fmt::vformat;
  bool (*is_printable)(std::uint32_t) = &fmt::detail::is_printable;
  fmt::detail::thousands_sep_result<char> (*thousands_sep)(fmt::detail::locale_ref) = &fmt::detail::thousands_sep_impl<char>;
#if FMT_VERSION < 110000
  void (*refuse)(const char*) = &fmt::detail::throw_format_error;
#else
  void (*refuse)(const char*) = &fmt::report_error;
#endif
};

extern const Kept kept;
const Kept kept{};

}  // namespace codops::archives

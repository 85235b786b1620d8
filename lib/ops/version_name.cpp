#include "lib/ops/version_name.hpp"

namespace codops::ops {

std::string with_service(std::string_view name, std::string_view service, std::string_view version) {
  constexpr std::string_view sign = " + ";
  const auto base = name.substr(0, name.find(sign));
  std::string out{base};
  for (auto rest = name.substr(base.size()); !rest.empty();) {
    const auto end = rest.find(sign, sign.size());
    const auto word = rest.substr(0, end);  // " + backend v1.1.0"
    rest.remove_prefix(word.size());
    const auto whose = word.substr(sign.size());
    if (whose.substr(0, whose.find(' ')) != service) out += word;
  }
  if (version != base) out.append(sign).append(service).append(" ").append(version);
  return out;
}

}  // namespace codops::ops

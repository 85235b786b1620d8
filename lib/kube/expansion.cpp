#include "lib/kube/expansion.hpp"

namespace codops::kube {

std::string expand_references(std::string_view value, const std::function<std::optional<std::string>(const std::string& name)>& look) {
  std::string text;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (value[at] != '$' || at + 1 == value.size()) {
      text += value[at];
      continue;
    }
    if (value[at + 1] == '$') {
      text += '$';
      ++at;
      continue;
    }
    const auto end = value[at + 1] == '(' ? value.find(')', at + 2) : std::string_view::npos;
    if (end == std::string_view::npos) {
      text += '$';
      continue;
    }
    const std::string name{value.substr(at + 2, end - at - 2)};
    const auto known = look(name);
    text += known ? *known : "$(" + name + ")";
    at = end;
  }
  return text;
}

}  // namespace codops::kube

#pragma once
// Fields of JSON that somebody else wrote, or a run that was killed: what is absent or of another type counts as empty.
// Templates over nlohmann's two kinds of JSON, so that no header of ours brings the library in.
#include <string>

namespace codops::scaffold::dev {

template <typename Json>
std::string text_of(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->template get<std::string>() : std::string{};
}

template <typename Json>
bool flag_of(const Json& object, const char* key) {
  if (!object.is_object()) return false;
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->template get<bool>();
}

template <typename Json>
long long number_of(const Json& object, const char* key) {
  if (!object.is_object()) return 0;
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->template get<long long>() : 0;
}

}  // namespace codops::scaffold::dev

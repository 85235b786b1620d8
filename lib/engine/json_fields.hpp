#pragma once
// Reading the engine's JSON without surprises: a field that is absent, null or of another type reads as empty.
#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::engine {

using Path = std::initializer_list<std::string_view>;

const nlohmann::json& field(const nlohmann::json& value, Path path);  // null when absent
std::string text_at(const nlohmann::json& value, Path path);
bool flag_at(const nlohmann::json& value, Path path);
std::int64_t number_at(const nlohmann::json& value, Path path);
std::map<std::string, std::string> texts_by_name_at(const nlohmann::json& value, Path path);
std::vector<std::string> texts_at(const nlohmann::json& value, Path path);
// nullopt for Go's zero time too.
std::optional<WallTime> time_at(const nlohmann::json& value, Path path);

}  // namespace codops::engine

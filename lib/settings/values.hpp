#pragma once
// Settings as they come out of the layers: flat, by concrete path, each with its origin. A dot inside a name that the
// user gave is written "\." in a path.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::settings {

struct Origin {
  enum class Kind {
    built_in,
    convention,  // found in the project: docker-compose.prod.yml, k8s/, .env.production
    file,
    variable,    // CODOPS_*
    flag,        // --set
  };
  Kind kind{Kind::built_in};
  std::string name;  // the file as messages show it, the variable, "--set"; of a convention what was found
  int line{}, column{};  // of a file, from 1

  bool operator==(const Origin&) const = default;
};

// "codops.yaml:3:5", "built-in", "docker-compose.prod.yml is there", "CODOPS_MONITOR", "--set".
std::string describe(const Origin& origin);

std::vector<std::string> split_path(std::string_view path);  // names unescaped
std::string escape_name(std::string_view name);

struct Value {
  std::vector<std::string> words;  // one, or as many as a list has
  bool is_list{};
  Origin origin;
};

// Every value that is set, checked against the schema: readers can't fail.
class Values {
 public:
  void set(std::string path, Value value);
  // Puts `higher` over this: its keys win, and a list of maps replaces the whole list below it.
  void overlay(const Values& higher);
  // The values below `prefix`, without it.
  Values below(std::string_view prefix) const;

  const std::map<std::string, Value>& all() const { return values_; }
  const Value* find(std::string_view path) const;
  bool has(std::string_view path) const { return find(path) != nullptr; }

  // What readers use. A missing value is "", 0, false, empty; ask optional_* where absence matters.
  std::string text(std::string_view path) const;
  bool boolean(std::string_view path) const;
  std::int64_t integer(std::string_view path) const;
  Milliseconds duration(std::string_view path) const;
  std::uint64_t bytes(std::string_view path) const;
  std::vector<std::string> list(std::string_view path) const;
  std::optional<std::string> optional_text(std::string_view path) const;
  std::optional<std::int64_t> optional_integer(std::string_view path) const;
  std::optional<Milliseconds> optional_duration(std::string_view path) const;
  std::optional<std::uint64_t> optional_bytes(std::string_view path) const;
  // The names that the user gave directly below `section`: the services of "readiness".
  std::vector<std::string> names(std::string_view section) const;
  // Paths of the maps in a list: "hooks.pre_deploy[0]", "hooks.pre_deploy[1]".
  std::vector<std::string> items(std::string_view list) const;
  std::map<std::string, std::string> map(std::string_view section) const;

 private:
  std::map<std::string, Value> values_;
};

}  // namespace codops::settings

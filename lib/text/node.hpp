#pragma once
// A tree of values that remember where they were written.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/failure.hpp"

namespace codops::text {

struct Position {
  std::shared_ptr<const std::string> file;  // as messages show it; null for a value that no file holds
  int line{};                               // from 1; 0: no position
  int column{};                             // from 1, in characters

  // "compose.yaml:12:5", "compose.yaml", or "" when nothing is known.
  std::string text() const;
};

// Failure{config, "file:line:column: message"}.
Failure failure_at(const Position& at, std::string_view message, std::string hint = {});

struct Entry;

// One value. Plain scalars have the type that Go's YAML library (and so docker compose and kubectl) gives them: YAML
// 1.2's core schema plus leading-zero octals, `_` in numbers and timestamps; `yes`, `no`, `on`, `off` are strings.
struct Node {
  enum class Kind { null, boolean, integer, real, timestamp, string, sequence, mapping };

  Kind kind{Kind::null};
  bool plain{};         // a scalar without quotes or block style: its type was inferred
  bool boolean{};       // Kind::boolean
  bool negative{};      // Kind::integer: the value is -magnitude
  std::uint64_t magnitude{};
  double real{};        // Kind::real
  std::string text;     // any scalar, as written (quotes and escapes resolved)
  std::string tag;      // "!reset", "!override" or another tag that is not YAML's own; else empty
  Position at;
  std::vector<Node> items;     // Kind::sequence
  std::vector<Entry> entries;  // Kind::mapping, in the file's order, keys unique, `<<` resolved

  bool is_null() const noexcept { return kind == Kind::null; }
  bool is_mapping() const noexcept { return kind == Kind::mapping; }
  bool is_sequence() const noexcept { return kind == Kind::sequence; }
  bool is_string() const noexcept { return kind == Kind::string; }
  bool is_scalar() const noexcept { return !is_null() && !is_mapping() && !is_sequence(); }

  // In a mapping: the value or null. Of another kind: null.
  const Node* find(std::string_view key) const noexcept;
  Node* find(std::string_view key) noexcept;
  const Entry* entry(std::string_view key) const noexcept;
  // Makes this a mapping if it is null; replaces or appends.
  Node& set(std::string key, Node value);
  bool erase(std::string_view key);

  // "a mapping", "a list", "text", "a number", "true or false", "nothing", "a date".
  std::string_view kind_name() const noexcept;

  static Node make_string(std::string value, Position at);
  static Node make_mapping(Position at);
  static Node make_sequence(Position at);
  static Node make_boolean(bool value, Position at);
  static Node make_integer(std::int64_t value, Position at);
};

struct Entry {
  std::string key;
  Position at;  // of the key
  Node value;
};

}  // namespace codops::text

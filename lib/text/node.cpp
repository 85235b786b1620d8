#include "lib/text/node.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace codops::text {

std::string Position::text() const {
  if (!file) return {};
  if (line == 0) return *file;
  return fmt::format("{}:{}:{}", *file, line, column);
}

Failure failure_at(const Position& at, std::string_view message, std::string hint) {
  const auto where = at.text();
  return Failure{Exit::config, where.empty() ? std::string{message} : fmt::format("{}: {}", where, message),
                 std::move(hint)};
}

const Entry* Node::entry(std::string_view key) const noexcept {
  for (const auto& candidate : entries) {
    if (candidate.key == key) return &candidate;
  }
  return nullptr;
}

const Node* Node::find(std::string_view key) const noexcept {
  const auto* found = entry(key);
  return found ? &found->value : nullptr;
}

Node* Node::find(std::string_view key) noexcept {
  return const_cast<Node*>(std::as_const(*this).find(key));
}

Node& Node::set(std::string key, Node value) {
  if (is_null()) kind = Kind::mapping;
  if (auto* found = find(key)) {
    *found = std::move(value);
    return *found;
  }
  auto position = value.at;
  entries.push_back({std::move(key), std::move(position), std::move(value)});
  return entries.back().value;
}

bool Node::erase(std::string_view key) {
  return std::erase_if(entries, [&](const Entry& candidate) { return candidate.key == key; }) > 0;
}

std::string_view Node::kind_name() const noexcept {
  switch (kind) {
    case Kind::null: return "nothing";
    case Kind::boolean: return "true or false";
    case Kind::integer:
    case Kind::real: return "a number";
    case Kind::timestamp: return "a date";
    case Kind::string: return "text";
    case Kind::sequence: return "a list";
    case Kind::mapping: return "a mapping";
  }
  return "nothing";
}

Node Node::make_string(std::string value, Position at) {
  Node node;
  node.kind = Kind::string;
  node.text = std::move(value);
  node.at = std::move(at);
  return node;
}

Node Node::make_mapping(Position at) {
  Node node;
  node.kind = Kind::mapping;
  node.at = std::move(at);
  return node;
}

Node Node::make_sequence(Position at) {
  Node node;
  node.kind = Kind::sequence;
  node.at = std::move(at);
  return node;
}

Node Node::make_boolean(bool value, Position at) {
  Node node;
  node.kind = Kind::boolean;
  node.boolean = value;
  node.text = value ? "true" : "false";
  node.at = std::move(at);
  return node;
}

Node Node::make_integer(std::int64_t value, Position at) {
  Node node;
  node.kind = Kind::integer;
  node.negative = value < 0;
  node.magnitude = value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  node.text = std::to_string(value);
  node.at = std::move(at);
  return node;
}

}  // namespace codops::text

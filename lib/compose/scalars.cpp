#include "lib/compose/scalars.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lib/compose/short_syntax.hpp"
#include "lib/text/scalar.hpp"

namespace codops::compose {

using text::failure_at;
using text::Node;
using Kind = Node::Kind;

void wrong_kind(const Node& node, std::string_view where, std::string_view wanted) {
  std::string hint;
  if (wanted == "text" && node.is_scalar()) hint = fmt::format("write \"{}\" in quotes", node.text);
  throw failure_at(node.at, fmt::format("{} is {}, not {}", where.empty() ? "the file" : where, node.kind_name(), wanted),
                   std::move(hint));
}

bool valid_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

namespace {

Node text_of(const Node& node) {
  auto made = Node::make_string(text::typed_text(node), node.at);
  made.tag = node.tag;
  return made;
}

}  // namespace

void to_text(Node& node, const std::string& where) {
  if (node.is_mapping() || node.is_sequence() || node.kind == Kind::boolean) wrong_kind(node, where, "text or a number");
  node = text_of(node);
}

void to_integer(Node& node, const std::string& where) {
  if (node.kind == Kind::integer) return;
  if (node.kind == Kind::real && node.real == std::floor(node.real) && std::fabs(node.real) < 9e15) {
    node = Node::make_integer(static_cast<std::int64_t>(node.real), node.at);
    return;
  }
  std::int64_t number = 0;
  auto digits = std::string_view{node.text};
  if (digits.starts_with('+')) digits.remove_prefix(1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (!node.is_string() || error != std::errc{} || end != digits.data() + digits.size()) {
    if (node.is_string()) throw failure_at(node.at, fmt::format("{} is \"{}\", not a whole number", where, node.text));
    wrong_kind(node, where, "a whole number");
  }
  node = Node::make_integer(number, node.at);
}

void to_number(Node& node, const std::string& where) {
  if (node.kind == Kind::integer || node.kind == Kind::real) return;
  double number = 0;
  const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), number);
  if (!node.is_string() || error != std::errc{} || end != node.text.data() + node.text.size()) {
    if (node.is_string()) throw failure_at(node.at, fmt::format("{} is \"{}\", not a number", where, node.text));
    wrong_kind(node, where, "a number");
  }
  auto made = node;
  made.kind = Kind::real;
  made.real = number;
  node = std::move(made);
}

void to_boolean(Node& node, const std::string& where, std::vector<std::string>& warnings) {
  if (node.kind == Kind::boolean) return;
  auto word = node.text;
  std::transform(word.begin(), word.end(), word.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  const bool yes = word == "true" || word == "y" || word == "yes" || word == "on";
  const bool no = word == "false" || word == "n" || word == "no" || word == "off";
  if (!node.is_string()) wrong_kind(node, where, "true or false");
  if (!yes && !no) throw failure_at(node.at, fmt::format("{} is \"{}\", not true or false", where, node.text));
  if (word != "true" && word != "false")
    warnings.push_back(fmt::format("{}: write {} instead of \"{}\"", node.at.text(), yes, node.text));
  node = Node::make_boolean(yes, node.at);
}

void to_duration(Node& node, const std::string& where) {
  if (!node.is_string()) wrong_kind(node, where, "a duration such as 1m30s");
  const auto nanoseconds = parse_go_duration(node.text);
  if (!nanoseconds)
    throw failure_at(node.at, fmt::format("{} is \"{}\", not a duration", where, node.text), "write 1m30s, 10s or 500ms");
  node = Node::make_integer(*nanoseconds, node.at);
  node.text = format_go_duration(*nanoseconds);
}

void to_bytes(Node& node, const std::string& where) {
  if (node.kind == Kind::integer) return;
  if (node.kind == Kind::real) return to_integer(node, where);
  const auto size = node.is_string() ? parse_size(node.text) : std::nullopt;
  if (!node.is_string()) wrong_kind(node, where, "a size such as 64M");
  if (!size) throw failure_at(node.at, fmt::format("{} is \"{}\", not a size", where, node.text), "write 64M, 1.5g or 512kb");
  node = Node::make_integer(*size, node.at);
}

void to_texts(Node& node, const std::string& where, Form form) {
  if (form == Form::text_or_texts && node.is_string()) {
    auto list = Node::make_sequence(node.at);
    list.tag = node.tag;
    list.items.push_back(node);
    node = std::move(list);
  }
  if (!node.is_sequence()) wrong_kind(node, where, form == Form::text_or_texts ? "text or a list" : "a list");
  std::vector<Node> once;
  for (auto& item : node.items) {
    if (form == Form::scalars) {
      to_text(item, where);
    } else if (!item.is_string()) {
      wrong_kind(item, "an entry of " + where, "text");
    }
    const bool seen = std::any_of(once.begin(), once.end(), [&](const Node& other) { return other.text == item.text; });
    if (!seen) once.push_back(std::move(item));
  }
  node.items = std::move(once);
}

void to_command(Node& node, const std::string& where, std::vector<std::string>& warnings) {
  if (node.is_string()) {
    const auto line = split_words(node.text);
    if (!line) throw failure_at(node.at, fmt::format("{} has a quote or a parenthesis that is never closed", where));
    if (line->ended_by)
      warnings.push_back(fmt::format("{}: {} ends before its \"{}\", as in docker compose: no shell runs it; write sh -c '…'",
                                     node.at.text(), where, line->ended_by));
    auto list = Node::make_sequence(node.at);
    list.tag = node.tag;
    for (const auto& word : line->words) list.items.push_back(Node::make_string(word, node.at));
    node = std::move(list);
  }
  if (!node.is_sequence()) wrong_kind(node, where, "text or a list");
  for (const auto& item : node.items) {
    if (!item.is_string()) wrong_kind(item, "an entry of " + where, "text");
  }
}

void to_health_test(Node& node, const std::string& where) {
  if (node.is_string()) {
    auto list = Node::make_sequence(node.at);
    list.tag = node.tag;
    list.items.push_back(Node::make_string("CMD-SHELL", node.at));
    list.items.push_back(node);
    node = std::move(list);
  }
  if (!node.is_sequence()) wrong_kind(node, where, "text or a list");
  for (const auto& item : node.items) {
    if (!item.is_string()) wrong_kind(item, "an entry of " + where, "text");
  }
  if (node.items.empty()) return;
  const auto& first = node.items.front().text;
  if (first != "CMD" && first != "CMD-SHELL" && first != "NONE")
    throw failure_at(node.at, fmt::format("{} begins with \"{}\"", where, first), "begin the list with CMD, CMD-SHELL or NONE");
}

void to_dict(Node& node, const std::string& where, bool null_stays) {
  auto mapping = Node::make_mapping(node.at);
  mapping.tag = node.tag;
  if (node.is_sequence()) {
    for (const auto& item : node.items) {
      if (!item.is_string()) wrong_kind(item, "an entry of " + where, "text");
      const auto equals = item.text.find('=');
      Node value = equals == std::string::npos ? Node{} : Node::make_string(item.text.substr(equals + 1), item.at);
      if (equals == std::string::npos && !null_stays) value = Node::make_string("", item.at);
      value.at = item.at;
      mapping.set(item.text.substr(0, equals), std::move(value));
    }
  } else if (node.is_mapping()) {
    for (auto& entry : node.entries) {
      auto& value = entry.value;
      if (value.is_mapping() || value.is_sequence()) wrong_kind(value, where + "." + entry.key, "text, a number, true or false");
      if (value.tag != "!reset" && (!value.is_null() || !null_stays)) value = text_of(value);
      mapping.entries.push_back(std::move(entry));
    }
  } else {
    wrong_kind(node, where, "a mapping or a list");
  }
  node = std::move(mapping);
}

void to_hosts(Node& node, const std::string& where) {
  auto mapping = Node::make_mapping(node.at);
  mapping.tag = node.tag;
  const auto add = [&](const std::string& host, std::string address, const text::Position& at) {
    if (address.size() > 1 && address.starts_with('[') && address.ends_with(']'))
      address = address.substr(1, address.size() - 2);
    if (!mapping.find(host)) mapping.set(host, Node::make_sequence(at));
    mapping.find(host)->items.push_back(Node::make_string(std::move(address), at));
  };
  if (node.is_sequence()) {
    for (const auto& item : node.items) {
      if (!item.is_string()) wrong_kind(item, "an entry of " + where, "text");
      auto split = item.text.find('=');
      if (split == std::string::npos) split = item.text.find(':');
      if (split == std::string::npos)
        throw failure_at(item.at, fmt::format("\"{}\" in {} has no address", item.text, where), "write HOST=ADDRESS");
      add(item.text.substr(0, split), item.text.substr(split + 1), item.at);
    }
  } else if (node.is_mapping()) {
    for (const auto& entry : node.entries) {
      const auto one = std::vector<Node>{entry.value};
      for (const auto& address : entry.value.is_sequence() ? entry.value.items : one) {
        if (!address.is_string()) wrong_kind(address, where + "." + entry.key, "an address");
        add(entry.key, address.text, address.at);
      }
    }
  } else {
    wrong_kind(node, where, "a mapping or a list");
  }
  node = std::move(mapping);
}

}  // namespace codops::compose

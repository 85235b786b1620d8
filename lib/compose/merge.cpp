#include "lib/compose/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace codops::compose {

using text::Node;

namespace {

std::string text_at(const Node& node, std::string_view key, std::string otherwise = {}) {
  const auto* found = node.find(key);
  return found ? found->text : std::move(otherwise);
}

// What makes two entries of a list the same one; empty: nothing does.
std::string identity(const Node& item, const Key& list) {
  if (list.is_text_list()) return item.text;
  if (list.name == "ports") {
    // Docker compose takes no address and 0.0.0.0 for the same.
    return fmt::format("{}:{}:{}/{}", text_at(item, "host_ip", "0.0.0.0"), text_at(item, "published"),
                       text_at(item, "target"), text_at(item, "protocol", "tcp"));
  }
  if (list.name == "volumes" || list.name == "devices") return text_at(item, "target");
  if (list.name == "env_file") return text_at(item, "path");
  if (list.name == "secrets" || list.name == "configs")
    return text_at(item, "target", (list.name == "secrets" ? "/run/secrets/" : "/") + text_at(item, "source"));
  return {};
}

void keep_last(Node& list, const Key& key) {
  std::map<std::string, std::size_t> seen;
  std::vector<Node> kept;
  for (auto& item : list.items) {
    auto id = identity(item, key);
    const auto found = id.empty() ? seen.end() : seen.find(id);
    if (found != seen.end()) {
      kept[found->second] = std::move(item);
      continue;
    }
    if (!id.empty()) seen.emplace(std::move(id), kept.size());
    kept.push_back(std::move(item));
  }
  list.items = std::move(kept);
}

void merge_mappings(Node& into, Node& from, const Key& key) {
  for (auto& entry : from.entries) {
    if (entry.value.tag == "!reset") {
      into.erase(entry.key);
      continue;
    }
    auto* there = into.find(entry.key);
    const auto* known = entry.key.starts_with("x-") ? nullptr : key.find(entry.key);
    if (!there) {
      drop_resets(entry.value);
      into.entries.push_back(std::move(entry));
    } else if (known) {
      merge(*there, std::move(entry.value), *known);
    } else {
      *there = std::move(entry.value);
    }
  }
}

// The addresses of one subnet belong together.
void merge_ipam(Node& into, Node& from) {
  for (auto& item : from.items) {
    const auto subnet = text_at(item, "subnet");
    const auto same = std::find_if(into.items.begin(), into.items.end(),
                                   [&](const Node& other) { return text_at(other, "subnet") == subnet; });
    if (same == into.items.end()) {
      into.items.push_back(std::move(item));
    } else {
      for (auto& entry : item.entries) same->set(entry.key, std::move(entry.value));
    }
  }
}

void append(Node& into, Node& from) {
  for (auto& item : from.items) into.items.push_back(std::move(item));
}

void keep_texts(Node& list) {
  std::vector<Node> kept;
  for (auto& item : list.items) {
    const bool seen = std::any_of(kept.begin(), kept.end(), [&](const Node& other) { return other.text == item.text; });
    if (!seen) kept.push_back(std::move(item));
  }
  list.items = std::move(kept);
}

}  // namespace

void merge(Node& into, Node from, const Key& key) {
  if (from.tag == "!override") {
    from.tag.clear();
    drop_resets(from);
    into = std::move(from);
    return;
  }
  switch (key.form) {
    case Form::command:
    case Form::health_test:
    case Form::ulimit:
    case Form::external:
    case Form::any:
      into = std::move(from);
      return;
    case Form::logging: {
      const auto *old_driver = into.find("driver"), *new_driver = from.find("driver");
      if (old_driver && new_driver && old_driver->text != new_driver->text) {
        into = std::move(from);
        return;
      }
      break;
    }
    default: break;
  }
  if (into.is_mapping() && from.is_mapping()) {
    if (key.form == Form::hosts) {
      for (auto& entry : from.entries) {
        if (auto* there = into.find(entry.key)) {
          append(*there, entry.value);
          keep_texts(*there);
        } else {
          into.entries.push_back(std::move(entry));
        }
      }
    } else {
      merge_mappings(into, from, key);
    }
  } else if (into.is_sequence() && from.is_sequence()) {
    if (key.name == "config" && key.find("[]")) {
      merge_ipam(into, from);
    } else {
      append(into, from);
      keep_last(into, key);
    }
  } else if (!from.is_null() || into.is_null()) {
    into = std::move(from);
  }
}

void drop_resets(Node& node) {
  std::erase_if(node.entries, [](const text::Entry& entry) { return entry.value.tag == "!reset"; });
  std::erase_if(node.items, [](const Node& item) { return item.tag == "!reset"; });
  for (auto& entry : node.entries) drop_resets(entry.value);
  for (auto& item : node.items) drop_resets(item);
}

void keep_unique(Node& node, const Key& key) {
  if (node.is_sequence()) keep_last(node, key);
  for (auto& entry : node.entries) {
    if (const auto* known = key.find(entry.key); known && !entry.key.starts_with("x-")) keep_unique(entry.value, *known);
  }
}

}  // namespace codops::compose

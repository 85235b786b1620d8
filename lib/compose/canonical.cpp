#include "lib/compose/canonical.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "lib/compose/scalars.hpp"
#include "lib/compose/short_syntax.hpp"
#include "lib/text/scalar.hpp"

namespace codops::compose {

using text::failure_at;
using text::Node;
using Kind = Node::Kind;

// A request for devices names them or counts them.
static void check_request(const Node& node, const std::string& where) {
  if (node.find("count") && node.find("device_ids"))
    throw failure_at(node.at, fmt::format("{} has count and device_ids", where), "keep one of them");
}

void interpolate_tree(Node& tree, const std::function<std::string(const Node&)>& replace, text::Problems& problems) {
  if (tree.is_string()) {
    if (tree.text.find('$') == std::string::npos) return;
    try {
      tree.text = replace(tree);
    } catch (const Failure& failure) {
      problems.add(tree.at, failure.message(), failure.hint());
      tree.text.clear();
    }
    return;
  }
  if (tree.kind == Kind::real && !std::isfinite(tree.real))
    problems.add(tree.at, fmt::format("{} is not a number that a compose file may hold", tree.text));
  for (auto& item : tree.items) interpolate_tree(item, replace, problems);
  for (auto& entry : tree.entries) interpolate_tree(entry.value, replace, problems);
}

std::string absolute_path(const std::string& path, const Place& place) {
  namespace fs = std::filesystem;
  auto written = path;
  if (written == "~" || written.starts_with("~/")) written = place.home + written.substr(1);
  auto whole = fs::path{written}.is_absolute() ? fs::path{written} : fs::path{place.base} / written;
  auto shown = whole.lexically_normal().string();
  while (shown.size() > 1 && shown.ends_with('/')) shown.pop_back();
  return shown;
}

void Canonical::make_absolute(Node& node) const { node.text = absolute_path(node.text, place_); }

void Canonical::value(Node& node, const Key& key, const std::string& where) {
  if (node.tag == "!reset") return;
  try {
    convert(node, key, where);
  } catch (const Failure& failure) {
    problems_.add(failure);
    node = Node{};
  }
}

void Canonical::convert(Node& node, const Key& key, const std::string& where) {
  static constexpr auto may_be_null = std::to_array<std::string_view>(
      {"command", "entrypoint", "deploy", "develop", "pid", "include"});
  if (node.is_null() && key.form != Form::any && key.form != Form::scalar_text) {
    const bool named = key.name == "*" && (where.starts_with("volumes.") || where.starts_with("networks.") ||
                                           where.find(".networks.") != std::string::npos);
    if (named || std::find(may_be_null.begin(), may_be_null.end(), key.name) != may_be_null.end()) return;
    throw failure_at(node.at, fmt::format("{} is empty", where.empty() ? "the file" : where),
                     "give it a value, or remove the key");
  }
  switch (key.form) {
    case Form::any: return;
    case Form::text:
      if (!node.is_string()) wrong_kind(node, where, "text");
      return;
    case Form::scalar_text:
      if (node.is_null() && where.find(".logging.") == std::string::npos) wrong_kind(node, where, "text or a number");
      return to_text(node, where);
    case Form::integer: return to_integer(node, where);
    case Form::number: return to_number(node, where);
    case Form::boolean: return to_boolean(node, where, warnings_);
    case Form::duration: return to_duration(node, where);
    case Form::bytes: return to_bytes(node, where);
    case Form::count:
      if (node.text == "all") node = Node::make_integer(-1, node.at);
      return to_integer(node, where);
    case Form::text_or_texts:
    case Form::texts:
    case Form::scalars: return to_texts(node, where, key.form);
    case Form::command: return to_command(node, where, warnings_);
    case Form::health_test: return to_health_test(node, where);
    case Form::dict:
    case Form::environment: return to_dict(node, where, key.form == Form::environment);
    case Form::hosts: return to_hosts(node, where);
    case Form::ssh: return to_dict(node, where, true);
    case Form::object:
    case Form::logging:
    case Form::map: return children(node, key, where);
    case Form::watch:
      children(node, key, where);
      for (const auto* needed : {"path", "action"}) {
        if (!node.find(needed)) throw failure_at(node.at, fmt::format("{} has no \"{}\"", where, needed));
      }
      return make_absolute(*node.find("path"));
    case Form::list: return items(node, key, where);
    case Form::build: return build(node, key, where);
    case Form::depends_on: return depends_on(node, key, where);
    case Form::device:
      if (node.is_string()) node = device_of(node);
      return children(node, key, where);
    case Form::devices_all:
      if (node.is_string() && node.text == "all") {
        auto all = Node::make_mapping(node.at);
        all.set("count", Node::make_integer(-1, node.at));
        auto list = Node::make_sequence(node.at);
        list.items.push_back(std::move(all));
        node = std::move(list);
      }
      return items(node, key, where);
    case Form::env_files: return env_files(node, key, where);
    case Form::extends: return;
    case Form::external: return external(node, where);
    case Form::file_ref:
      if (node.is_string()) {
        auto reference = Node::make_mapping(node.at);
        reference.set("source", node);
        node = std::move(reference);
      }
      return children(node, key, where);
    case Form::networks: return networks(node, key, where);
    case Form::port: return children(node, key, where);
    case Form::ulimit:
      if (!node.is_mapping()) return to_integer(node, where);
      children(node, key, where);
      for (const auto* side : {"soft", "hard"}) {
        if (!node.find(side)) throw failure_at(node.at, fmt::format("{} has no \"{}\"", where, side));
      }
      return;
    case Form::volume: return volume(node, key, where);
  }
}

void Canonical::children(Node& node, const Key& key, const std::string& where) {
  if (!node.is_mapping()) wrong_kind(node, where, "a mapping");
  for (auto& [name, at, child] : node.entries) {
    if (name.starts_with("x-")) continue;
    const auto* known = key.find(name);
    const auto path = where.empty() ? name : where + "." + name;
    if (!known) {
      std::vector<std::string_view> names;
      for (const auto& below : key.below) names.push_back(below.name);
      problems_.unknown_key(at, name, where, names);
    } else if (known->name == "*" && !valid_name(name) && (where == "services" || where == "volumes" ||
               where == "secrets" || where == "configs")) {
      problems_.add(at, fmt::format("\"{}\" is not a valid name in {}", name, where),
                    "letters, digits, \".\", \"_\" and \"-\" may be used");
    } else {
      if (!known->acted_on) warnings_.push_back(fmt::format("{}: codops does not act on {}", at.text(), path));
      if (child.at.line == 0) child.at = at;
      value(child, *known, path);
    }
  }
  if (key.find("device_ids")) check_request(node, where);
  if (key.name == "*" && (where.starts_with("secrets.") || where.starts_with("configs."))) object_file(node);
}

void Canonical::object_file(Node& node) {
  if (auto* file = node.find("file"); file && file->is_string()) make_absolute(*file);
}

void Canonical::items(Node& node, const Key& key, const std::string& where) {
  if (!node.is_sequence()) wrong_kind(node, where, "a list");
  if (key.item()->form == Form::port) return ports(node, key, where);
  for (std::size_t index = 0; index < node.items.size(); ++index)
    value(node.items[index], *key.item(), fmt::format("{}[{}]", where, index));
  std::erase_if(node.items, [](const Node& item) { return item.is_null(); });
}

void Canonical::ports(Node& node, const Key& key, const std::string& where) {
  std::vector<Node> all;
  for (std::size_t index = 0; index < node.items.size(); ++index) {
    auto& item = node.items[index];
    const auto path = fmt::format("{}[{}]", where, index);
    try {
      if (item.kind == Kind::integer) item.text = text::typed_text(item);
      if (item.kind == Kind::integer || item.is_string()) {
        for (auto& port : ports_of(item)) all.push_back(std::move(port));
        continue;
      }
      value(item, *key.item(), path);
      if (item.is_null()) continue;
      if (!item.find("target")) throw failure_at(item.at, fmt::format("{} has no \"target\"", path));
      if (!item.find("mode")) item.set("mode", Node::make_string("ingress", item.at));
      if (!item.find("protocol")) item.set("protocol", Node::make_string("tcp", item.at));
      all.push_back(std::move(item));
    } catch (const Failure& failure) {
      problems_.add(failure);
    }
  }
  node.items = std::move(all);
}

void Canonical::build(Node& node, const Key& key, const std::string& where) {
  if (node.is_string()) {
    auto mapping = Node::make_mapping(node.at);
    mapping.set("context", node);
    node = std::move(mapping);
  }
  children(node, key, where);
  static constexpr auto remote = std::to_array<std::string_view>(
      {"https://", "http://", "git://", "git@", "github.com/", "ssh://", "docker-image://", "target:", "oci-layout://",
       "service:"});
  const auto local = [&](const Node& path) {
    return std::none_of(remote.begin(), remote.end(), [&](auto prefix) { return path.text.starts_with(prefix); });
  };
  if (auto* context = node.find("context"); context && context->is_string() && local(*context)) make_absolute(*context);
  if (auto* contexts = node.find("additional_contexts")) {
    for (auto& entry : contexts->entries) {
      if (entry.value.is_string() && local(entry.value)) make_absolute(entry.value);
    }
  }
}

void Canonical::depends_on(Node& node, const Key& key, const std::string& where) {
  if (node.is_sequence()) {
    auto mapping = Node::make_mapping(node.at);
    for (auto& item : node.items) {
      if (!item.is_string()) wrong_kind(item, where, "the name of a service");
      auto dependency = Node::make_mapping(item.at);
      dependency.set("condition", Node::make_string("service_started", item.at));
      mapping.set(item.text, std::move(dependency));
    }
    mapping.tag = node.tag;
    node = std::move(mapping);
  }
  children(node, key, where);
  for (auto& entry : node.entries) {
    if (!entry.value.is_mapping()) continue;
    if (!entry.value.find("required")) entry.value.set("required", Node::make_boolean(true, entry.at));
    const auto* condition = entry.value.find("condition");
    if (!condition || !condition->is_string()) continue;
    static constexpr auto conditions = std::to_array<std::string_view>(
        {"service_started", "service_healthy", "service_completed_successfully"});
    if (std::find(conditions.begin(), conditions.end(), condition->text) == conditions.end()) {
      const auto near = nearest(condition->text, conditions);
      problems_.add(condition->at, fmt::format("{}.{} has the unknown condition \"{}\"", where, entry.key, condition->text),
                    near.empty() ? "service_started, service_healthy or service_completed_successfully" : "write " + near);
    }
  }
}

void Canonical::env_files(Node& node, const Key& key, const std::string& where) {
  if (node.is_string()) {
    auto list = Node::make_sequence(node.at);
    list.items.push_back(node);
    list.tag = node.tag;
    node = std::move(list);
  }
  if (!node.is_sequence()) wrong_kind(node, where, "a path or a list");
  for (auto& item : node.items) {
    if (!item.is_string()) continue;
    auto mapping = Node::make_mapping(item.at);
    mapping.set("path", item);
    item = std::move(mapping);
  }
  items(node, key, where);
  for (auto& item : node.items) {
    auto* path = item.find("path");
    if (!path || !path->is_string()) throw failure_at(item.at, fmt::format("an entry of {} has no \"path\"", where));
    make_absolute(*path);
  }
}

void Canonical::external(Node& node, const std::string& where) {
  if (!node.is_mapping()) return to_boolean(node, where, warnings_);
  for (const auto& entry : node.entries) {
    if (entry.key != "name" && !entry.key.starts_with("x-"))
      problems_.unknown_key(entry.at, entry.key, where, std::array<std::string_view, 1>{"name"});
  }
}

void Canonical::networks(Node& node, const Key& key, const std::string& where) {
  if (node.is_sequence()) {
    auto mapping = Node::make_mapping(node.at);
    for (auto& item : node.items) {
      if (!item.is_string()) wrong_kind(item, where, "the name of a network");
      Node none;
      none.at = item.at;
      mapping.set(item.text, std::move(none));
    }
    mapping.tag = node.tag;
    node = std::move(mapping);
  }
  children(node, key, where);
}

void Canonical::volume(Node& node, const Key& key, const std::string& where) {
  if (node.is_string()) {
    node = volume_of(node);
  } else {
    children(node, key, where);
    if (!node.find("type")) throw failure_at(node.at, fmt::format("{} has no \"type\"", where), "bind, volume or tmpfs");
    if (!node.find("target")) throw failure_at(node.at, fmt::format("{} has no \"target\"", where));
  }
  const auto* type = node.find("type");
  auto* source = node.find("source");
  if (type->text == "bind") {
    if (!source || source->text.empty())
      throw failure_at(node.at, fmt::format("{} is a bind without a \"source\"", where));
    // Docker compose tidies what it makes absolute only.
    if (!source->text.starts_with('/')) make_absolute(*source);
  }
  auto& target = node.find("target")->text;
  target = std::filesystem::path{target}.lexically_normal().string();
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
}

}  // namespace codops::compose

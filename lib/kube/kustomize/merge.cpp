#include "lib/kube/kustomize/merge.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/kube/schema.hpp"

namespace codops::kube::kustomize {
namespace {

enum class Directive { merge, replace, remove };

// Reads and removes `$patch`.
Directive take_directive(Json& value) {
  if (!value.is_object()) return Directive::merge;
  const auto found = value.find("$patch");
  if (found == value.end()) return Directive::merge;
  const auto word = found->is_string() ? found->get<std::string>() : found->dump();
  value.erase(found);
  if (word == "delete") return Directive::remove;
  if (word == "replace") return Directive::replace;
  if (word == "merge") return Directive::merge;
  throw Failure{Exit::config, fmt::format("$patch: {} is not one of delete, replace, merge", word)};
}

class Merger {
 public:
  Merger(std::string group, std::string kind) : group_{std::move(group)}, kind_{std::move(kind)} {}

  void maps(Json& into, const Json& patch) {
    for (const auto& [name, value] : patch.items()) {
      if (name.starts_with("$deleteFromPrimitiveList/") || name.starts_with("$setElementOrder/") || name == "$retainKeys")
        throw Failure{Exit::config, fmt::format("{} is not supported in patches", name), "use a JSON patch (op, path, value) for this change"};
      if (value.is_null()) {
        into.erase(name);
        continue;
      }
      path_.push_back(name);
      field(into, name, value);
      path_.pop_back();
    }
  }

 private:
  void field(Json& into, const std::string& name, const Json& value) {
    if (value.is_object()) {
      auto patch = value;
      const auto directive = take_directive(patch);
      if (directive == Directive::remove) {
        into.erase(name);
        return;
      }
      auto& target = into[name];
      if (directive == Directive::replace || !target.is_object()) target = Json::object();
      maps(target, patch);
    } else if (value.is_array()) {
      list(into, name, value);
    } else {
      into[name] = value;
    }
  }

  void list(Json& into, const std::string& name, const Json& value) {
    const auto keys = list_keys(group_, kind_, path_);
    auto patch = value;
    bool replace = false;
    for (auto item = patch.begin(); item != patch.end();) {
      const bool directive_only = item->is_object() && item->size() == 1 && item->contains("$patch");
      if (directive_only && take_directive(*item) == Directive::replace) {
        replace = true;
        item = patch.erase(item);
      } else {
        ++item;
      }
    }
    const auto found = into.find(name);
    const Json old = found != into.end() && found->is_array() ? *found : Json::array();
    if (keys.set && !replace) {
      into[name] = united(patch, old);
    } else if (keys.keys.empty() || replace) {
      into[name] = replace ? patch : cleaned(patch);
    } else {
      keyed(into, name, patch, old, keys);
    }
  }

  static Json united(const Json& patch, const Json& old) {
    auto made = Json::array();
    for (const auto* list : {&patch, &old}) {
      for (const auto& item : *list) {
        if (std::find(made.begin(), made.end(), item) == made.end()) made.push_back(item);
      }
    }
    return made;
  }

  // A list without keys is taken as it is.
  static Json cleaned(const Json& patch) { return patch; }

  static std::string key_of(const Json& item, std::string_view key) {
    const auto value = item.find(key);
    return value == item.end() || value->is_null() ? std::string{} : value->is_string() ? value->get<std::string>() : value->dump();
  }

  static Json* find_item(Json& items, const Json& wanted, const ListKeys& keys) {
    const auto alike = [&](const Json& item, std::string_view key) { return key_of(item, key) == key_of(wanted, key); };
    if (key_of(wanted, keys.keys.front()).empty()) return nullptr;
    for (auto& item : items) {
      if (item.is_object() && std::all_of(keys.keys.begin(), keys.keys.end(), [&](std::string_view key) { return alike(item, key); })) return &item;
    }
    for (const auto& item : items) {
      // kustomize loses such a change without a word.
      const bool half = keys.keys.size() == 2 && item.is_object() && alike(item, keys.keys[0]) && key_of(item, keys.keys[1]).empty() != key_of(wanted, keys.keys[1]).empty();
      if (half)
        throw Failure{Exit::config, fmt::format("{} {}: {} is given in one of the patch and the object, and not in the other", keys.keys[0], key_of(wanted, keys.keys[0]), keys.keys[1]),
                      fmt::format("write {} in both", keys.keys[1])};
    }
    return nullptr;
  }

  // Of one key: the patch's items first, in its order. Of two, where the second is ever given: new ones first, the others where they were.
  void keyed(Json& into, const std::string& name, const Json& patch, Json old, const ListKeys& keys) {
    const auto has_second = [&](const Json& item) { return item.is_object() && !key_of(item, keys.keys[1]).empty(); };
    const bool in_place = keys.keys.size() > 1 && (std::any_of(patch.begin(), patch.end(), has_second) || std::any_of(old.begin(), old.end(), has_second));
    auto made = Json::array();
    for (auto item : patch) {
      if (!item.is_object()) {
        made.push_back(std::move(item));
        continue;
      }
      const auto directive = take_directive(item);
      auto* same = find_item(old, item, keys);
      if (directive == Directive::remove) {
        if (same) old.erase(old.begin() + (same - &old[0]));
        continue;
      }
      if (same && in_place) {
        if (directive == Directive::replace) *same = Json::object();
        maps(*same, item);
        continue;
      }
      Json merged = Json::object();
      if (same) {
        if (directive == Directive::merge) merged = std::move(*same);
        old.erase(old.begin() + (same - &old[0]));
      }
      maps(merged, item);
      made.push_back(std::move(merged));
    }
    for (auto& item : old) made.push_back(std::move(item));
    into[name] = std::move(made);
  }

  std::string group_, kind_;
  Path path_;
};

}  // namespace

bool strategic_merge(Json& object, const Json& patch) {
  auto change = patch;
  const auto directive = take_directive(change);
  if (directive == Directive::remove) return false;
  Resource resource;
  resource.value = object;
  const auto id = resource.id();
  if (directive == Directive::replace) {
    object = std::move(change);
    return true;
  }
  Merger{id.group, id.kind}.maps(object, change);
  return true;
}

}  // namespace codops::kube::kustomize

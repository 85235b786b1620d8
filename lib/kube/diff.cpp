#include "lib/kube/diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/known_secrets.hpp"
#include "lib/base/secret.hpp"
#include "lib/kube/fields.hpp"
#include "lib/kube/schema.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

// Passwords inside a text ("host=db password=x") go by its form; whether the whole of it is one its name says. Of several lines none is shown.
std::string shown_value(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    auto shown = redact_urls_in(text);
    if (text.find('\n') != std::string::npos) return shown;
    KnownSecrets inside;
    inside.add_variable({}, text);
    auto hidden = inside.hide(shown);
    return hidden == Secret::shown ? shown : hidden;
  }
  return redact_urls_in(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string with_name(const std::string& path, const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return c == '_' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
  if (!plain) return fmt::format("{}[\"{}\"]", path, name);
  return path.empty() ? name : path + "." + name;
}

// An item's identity in a list with keys: "web", "8080/TCP"; "" when it lacks them.
std::string identity_of(const Json& item, const ListKeys& keys) {
  std::string identity;
  if (!item.is_object()) return identity;
  for (const auto key : keys.keys) {
    const auto found = item.find(key);
    if (found == item.end() && key != "protocol") return {};
    const auto text = found == item.end() ? std::string{"TCP"} : found->is_string() ? found->get<std::string>() : found->dump();
    identity += (identity.empty() ? "" : "/") + text;
  }
  return identity;
}

class Comparison {
 public:
  Comparison(const Object& any, std::vector<FieldChange>& changes)
      : group_{any.group()}, kind_{any.kind()}, is_secret_{group_.empty() && kind_ == "Secret"}, changes_{changes} {}

  void values(const Json& before, const Json& after, const std::string& shown, bool secret) {
    if (before == after) return;
    if (before.is_object() && after.is_object()) {
      maps(before, after, shown, secret);
    } else if (before.is_array() && after.is_array() && by_item(before, after)) {
      lists(before, after, shown, secret);
    } else {
      note(Sign::changed, shown, before, after, secret);
    }
  }

 private:
  void note(Sign sign, const std::string& shown, const Json& before, const Json& after, bool secret) {
    FieldChange change{sign, shown, {}, {}, secret};
    const auto value = [&](const Json& json) { return json.is_null() ? std::string{} : secret || holds_secret(json) ? std::string{Secret::shown} : shown_value(json); };
    change.before = value(before);
    change.after = value(after);
    change.secret = secret || change.before == Secret::shown || change.after == Secret::shown;
    changes_.push_back(std::move(change));
  }

  // A whole list or item that is added may carry env values.
  static bool holds_secret(const Json& value) {
    if (!value.is_structured()) return false;
    if (value.is_object() && value.contains("name") && value["name"].is_string() && value.contains("value")) return names_secret(value["name"].get<std::string>());
    return std::any_of(value.begin(), value.end(), [](const Json& child) { return holds_secret(child); });
  }

  // Lists of texts and numbers (commands) read better as a whole.
  static bool by_item(const Json& before, const Json& after) {
    const auto structured = [](const Json& item) { return item.is_structured(); };
    return std::all_of(before.begin(), before.end(), structured) && std::all_of(after.begin(), after.end(), structured) && !before.empty() && !after.empty();
  }

  bool hides(const std::string& name) const {
    // What people name freely: a ConfigMap's key, an annotation, a label.
    const bool free = (path_.size() == 1 && path_[0] == "data") || (!path_.empty() && (path_.back() == "annotations" || path_.back() == "labels"));
    if (free && key_names_secret(name)) return true;
    return is_secret_ && path_.size() == 1 && (path_[0] == "data" || path_[0] == "stringData") && !name.empty();
  }

  void maps(const Json& before, const Json& after, const std::string& shown, bool secret) {
    std::set<std::string> names;
    for (const auto& entry : before.items()) names.insert(entry.key());
    for (const auto& entry : after.items()) names.insert(entry.key());
    for (const auto& name : names) {
      const auto old = before.find(name), now = after.find(name);
      const auto where = with_name(shown, name);
      const bool hidden = secret || hides(name) || (old != before.end() && is_document(*old)) || (now != after.end() && is_document(*now));
      path_.push_back(name);
      if (old == before.end()) {
        added(*now, where, hidden, Sign::added);
      } else if (now == after.end()) {
        added(*old, where, hidden, Sign::removed);
      } else {
        values(*old, *now, where, hidden);
      }
      path_.pop_back();
    }
  }

  // A map that is new or gone is told by what is in it; a list as one.
  void added(const Json& value, const std::string& shown, bool secret, Sign sign) {
    if (value.is_object() && !value.empty() && !(value.contains("name") && value.contains("value"))) {
      for (const auto& [name, child] : value.items()) {
        const bool hidden = secret || hides(name) || is_document(child);
        path_.push_back(name);
        added(child, with_name(shown, name), hidden, sign);
        path_.pop_back();
      }
      return;
    }
    note(sign, shown, sign == Sign::removed ? value : Json{}, sign == Sign::removed ? Json{} : value, secret);
  }

  void lists(const Json& before, const Json& after, const std::string& shown, bool secret) {
    const auto keys = list_keys(group_, kind_, path_);
    std::map<std::string, const Json*> old;
    std::vector<std::string> order;
    bool keyed = !keys.keys.empty();
    for (const auto& item : before) {
      auto identity = identity_of(item, keys);
      keyed = keyed && !identity.empty() && old.emplace(identity, &item).second;
      order.push_back(std::move(identity));
    }
    std::map<std::string, const Json*> now;
    for (const auto& item : after) {
      const auto identity = identity_of(item, keys);
      keyed = keyed && !identity.empty() && now.emplace(identity, &item).second;
    }
    if (!keyed) return by_index(before, after, shown, secret);
    const bool env = !path_.empty() && path_.back() == "env";
    for (const auto& identity : order) {
      const bool hidden = secret || (env && names_secret(identity));
      const auto where = fmt::format("{}[{}]", shown, identity);
      if (const auto found = now.find(identity); found != now.end()) {
        values(*old[identity], *found->second, where, hidden);
      } else {
        note(Sign::removed, where, item_value(*old[identity], env), {}, hidden);
      }
    }
    for (const auto& item : after) {
      const auto identity = identity_of(item, keys);
      if (!old.contains(identity)) note(Sign::added, fmt::format("{}[{}]", shown, identity), {}, item_value(item, env), secret || (env && names_secret(identity)));
    }
  }

  // Its name is in the path already.
  static Json item_value(const Json& item, bool env) { return env && item.contains("value") ? item["value"] : item; }

  void by_index(const Json& before, const Json& after, const std::string& shown, bool secret) {
    for (std::size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
      const auto where = fmt::format("{}[{}]", shown, i);
      if (i >= before.size()) {
        note(Sign::added, where, {}, after[i], secret);
      } else if (i >= after.size()) {
        note(Sign::removed, where, before[i], {}, secret);
      } else {
        values(before[i], after[i], where, secret);
      }
    }
  }

  std::string group_, kind_;
  bool is_secret_;
  Path path_;
  std::vector<FieldChange>& changes_;
};

std::size_t lines_in(const std::string& text, std::multiset<std::string>& lines) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return lines.size();
}

std::string line_words(const std::string& before, const std::string& after) {
  std::multiset<std::string> old, now;
  lines_in(before, old);
  lines_in(after, now);
  std::vector<std::string> gone, come;
  std::set_difference(old.begin(), old.end(), now.begin(), now.end(), std::back_inserter(gone));
  std::set_difference(now.begin(), now.end(), old.begin(), old.end(), std::back_inserter(come));
  const auto changed = std::max({gone.size(), come.size(), std::size_t{1}});
  return fmt::format("{} {} changed", changed, changed == 1 ? "line" : "lines");
}

std::string line_count(const std::string& text) {
  std::multiset<std::string> lines;
  return fmt::format("{} lines", lines_in(text, lines));
}

std::string cut(std::string text, std::size_t width) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= width) return text;
  text.resize(width > 1 ? width - 1 : 1);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U) text.pop_back();
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0U) text.pop_back();
  return text + "…";
}

}  // namespace

std::string FieldChange::text(std::size_t width) const {
  const auto room = width > path.size() + 12 ? width - path.size() - 6 : std::size_t{12};
  const bool many = before.find('\n') != std::string::npos || after.find('\n') != std::string::npos;
  switch (sign) {
    case Sign::added: return fmt::format("+ {}{}", path, secret ? "" : ": " + (many ? line_count(after) : cut(after, room)));
    case Sign::removed: return fmt::format("- {}{}", path, secret ? "" : ": " + (many ? line_count(before) : cut(before, room)));
    default: break;
  }
  if (secret) return fmt::format("~ {}: changed", path);
  if (many) return fmt::format("~ {}: {}", path, line_words(before, after));
  return fmt::format("~ {}: {} → {}", path, cut(before, room / 2), cut(after, room / 2));
}

Object without_noise(const Object& object) {
  if (object.empty()) return object;
  auto copy = object;
  auto& json = copy.edit();
  json.erase("status");
  if (json.contains("metadata") && json["metadata"].is_object()) {
    auto& metadata = json["metadata"];
    for (const auto* name : {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}) metadata.erase(name);
    if (metadata.contains("annotations") && metadata["annotations"].is_object()) {
      // What kubectl and the controllers note for themselves.
      for (const auto* name : {"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}) metadata["annotations"].erase(name);
      if (metadata["annotations"].empty()) metadata.erase("annotations");
    }
  }
  return copy;
}

ObjectDiff diff(const Object& live, const Object& desired) {
  ObjectDiff made;
  made.ref = desired.empty() ? live.ref() : desired.ref();
  if (live.empty() || desired.empty()) {
    made.sign = live.empty() ? (desired.empty() ? Sign::same : Sign::added) : Sign::removed;
    return made;
  }
  const auto before = without_noise(live), after = without_noise(desired);
  Comparison{desired, made.changes}.values(before.json(), after.json(), {}, false);
  if (!made.changes.empty()) made.sign = Sign::changed;
  auto pods = pod_spec_path(desired.group(), desired.kind());
  if (pods.size() > 1) {
    pods.pop_back();
    Json::json_pointer at;
    for (const auto& name : pods) at /= name;
    const auto part = [&](const Object& object) { return object.json().contains(at) ? object.json().at(at) : Json{}; };
    made.new_pods = part(before) != part(after);
  }
  return made;
}

bool same_object(const Object& a, const Object& b) { return without_noise(a).json() == without_noise(b).json(); }

}  // namespace codops::kube

// replacements: a field of one object copied into fields of others.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "lib/kube/from_yaml.hpp"
#include "lib/kube/kustomize/references.hpp"

namespace codops::kube::kustomize {
namespace {

// "spec.template.spec.containers.[name=web].env.*.value"; a dot in a name is written \.
std::vector<std::string> field_steps(const std::string& path) {
  std::vector<std::string> steps{""};
  bool inside = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 1 < path.size() && path[i + 1] == '.') {
      steps.back() += path[++i];
    } else if (path[i] == '[' && steps.back().empty()) {
      inside = true;
      steps.back() += path[i];
    } else if (path[i] == ']' && inside) {
      inside = false;
      steps.back() += path[i];
    } else if (path[i] == '.' && !inside) {
      steps.emplace_back();
    } else {
      steps.back() += path[i];
    }
  }
  return steps;
}

bool is_index(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string scalar_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

void collect_named(Json& value, const std::string& name, const std::vector<std::string>& steps, std::size_t at, bool create, std::vector<Json*>& found);

// All values at the path; what is missing is made if `create`.
void collect(Json& value, const std::vector<std::string>& steps, std::size_t at, bool create, std::vector<Json*>& found) {
  if (at == steps.size()) {
    found.push_back(&value);
    return;
  }
  const auto& step = steps[at];
  if (step == "*") {
    if (!value.is_structured()) return;
    for (auto& child : value) collect(child, steps, at + 1, create, found);
    return;
  }
  if (step.size() > 2 && step.front() == '[' && step.back() == ']') {
    const auto equals = step.find('=');
    if (equals == std::string::npos && !value.is_array()) {
      // "[a.b/c]" is a name with dots in it.
      collect_named(value, step.substr(1, step.size() - 2), steps, at, create, found);
      return;
    }
    if (create && value.is_null()) value = Json::array();
    if (!value.is_array() || equals == std::string::npos) return;
    const auto key = step.substr(1, equals - 1), wanted = step.substr(equals + 1, step.size() - equals - 2);
    bool any = false;
    for (auto& item : value) {
      const bool fits = key.empty() ? !item.is_structured() && scalar_text(item) == wanted : item.is_object() && item.contains(key) && scalar_text(item[key]) == wanted;
      if (!fits) continue;
      any = true;
      collect(item, steps, at + 1, create, found);
    }
    if (!any && create && !key.empty()) {
      value.push_back({{key, wanted}});
      collect(value.back(), steps, at + 1, create, found);
    }
    return;
  }
  if (value.is_array()) {
    if (is_index(step) && std::stoul(step) < value.size()) collect(value[std::stoul(step)], steps, at + 1, create, found);
    if (step == "-" && create) {
      value.push_back(nullptr);
      collect(value.back(), steps, at + 1, create, found);
    }
    return;
  }
  collect_named(value, step, steps, at, create, found);
}

void collect_named(Json& value, const std::string& name, const std::vector<std::string>& steps, std::size_t at, bool create, std::vector<Json*>& found) {
  if (create && value.is_null()) value = Json::object();
  if (!value.is_object() || (!value.contains(name) && !create)) return;
  collect(value[name], steps, at + 1, create, found);
}

std::vector<std::string> split_by(const std::string& text, const std::string& delimiter) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (auto end = text.find(delimiter); end != std::string::npos; end = text.find(delimiter, at)) {
    parts.push_back(text.substr(at, end - at));
    at = end + delimiter.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

struct Options {
  std::string delimiter;
  std::int64_t index{};
  bool create{};
};

Options options_in(const Json& entry, const text::Position& at) {
  Options options;
  if (!entry.contains("options") || !entry["options"].is_object()) return options;
  options.delimiter = text_of(entry["options"], "delimiter");
  if (const auto& all = entry["options"]; all.contains("index")) {
    if (!all["index"].is_number_integer()) throw text::failure_at(at, "options.index has to be a number");
    options.index = all["index"].get<std::int64_t>();
  }
  options.create = flag_of(entry["options"], "create", at);
  return options;
}

bool selects(const Json& wanted, const Resource& resource) {
  const auto by_id = [&](const Id& id) {
    const auto fits = [&](const char* name, const std::string& value) {
      const auto text = text_of(wanted, name);
      return text.empty() || text == value;
    };
    return fits("group", id.group) && fits("version", id.version) && fits("kind", id.kind) && fits("name", id.name) && (fits("namespace", id.namespace_) || fits("namespace", id.effective_namespace()));
  };
  return by_id(resource.id()) || std::any_of(resource.previous.begin(), resource.previous.end(), by_id);
}

class Replacement {
 public:
  Replacement(const Json& entry, text::Position at) : entry_{entry}, at_{std::move(at)} {}

  void apply(Resources& resources) const {
    if (!entry_.is_object() || !entry_.contains("source") || !entry_.contains("targets") || !entry_["targets"].is_array()) throw text::failure_at(at_, "a replacement needs source and targets");
    const auto value = source(resources);
    for (const auto& target : entry_["targets"]) {
      if (!target.is_object() || !target.contains("select")) throw text::failure_at(at_, "a target needs select");
      for (auto& resource : resources) {
        if (!selects(target["select"], resource) || rejected(target, resource)) continue;
        put(resource, target, value);
      }
    }
  }

 private:
  Json source(Resources& resources) const {
    const auto& source = entry_["source"];
    Resource* found = nullptr;
    for (auto& resource : resources) {
      if (!selects(source, resource)) continue;
      if (found) throw text::failure_at(at_, fmt::format("the source could be {} or {}", found->id().text(), resource.id().text()));
      found = &resource;
    }
    if (!found) throw text::failure_at(at_, "the source of the replacement is not there");
    auto path = text_of(source, "fieldPath");
    if (path.empty()) path = "metadata.name";
    std::vector<Json*> values;
    collect(found->value, field_steps(path), 0, false, values);
    if (values.empty()) throw text::failure_at(at_, fmt::format("{} has no value at {}", found->id().text(), path));
    const auto options = options_in(source, at_);
    if (options.delimiter.empty()) return *values.front();
    const auto parts = split_by(scalar_text(*values.front()), options.delimiter);
    if (options.index < 0 || options.index >= static_cast<std::int64_t>(parts.size())) throw text::failure_at(at_, fmt::format("options.index {} of the source is beyond \"{}\"", options.index, scalar_text(*values.front())));
    return parts[static_cast<std::size_t>(options.index)];
  }

  static bool rejected(const Json& target, const Resource& resource) {
    if (!target.contains("reject") || !target["reject"].is_array()) return false;
    return std::any_of(target["reject"].begin(), target["reject"].end(), [&](const Json& reject) { return !reject.empty() && selects(reject, resource); });
  }

  void put(Resource& resource, const Json& target, const Json& value) const {
    auto paths = texts_of(target, "fieldPaths");
    if (paths.empty()) paths.push_back("metadata.name");
    const auto options = options_in(target, at_);
    for (const auto& path : paths) {
      std::vector<Json*> found;
      collect(resource.value, field_steps(path), 0, options.create, found);
      if (found.empty()) throw text::failure_at(at_, fmt::format("{} has no field {} to replace", resource.id().text(), path), "options: {create: true} makes it");
      if (path == "metadata.name" || path == "metadata.namespace") resource.remember();
      for (auto* field : found) *field = placed(*field, value, options);
    }
  }

  static Json placed(const Json& old, const Json& value, const Options& options) {
    if (options.delimiter.empty()) {
      // A text stays a text.
      return old.is_string() && !value.is_structured() ? Json(scalar_text(value)) : value;
    }
    auto parts = split_by(scalar_text(old), options.delimiter);
    if (options.index < 0) {
      parts.insert(parts.begin(), scalar_text(value));
    } else if (options.index >= static_cast<std::int64_t>(parts.size())) {
      parts.push_back(scalar_text(value));
    } else {
      parts[static_cast<std::size_t>(options.index)] = scalar_text(value);
    }
    std::string joined;
    for (std::size_t i = 0; i < parts.size(); ++i) joined += (i ? options.delimiter : "") + parts[i];
    return joined;
  }

  const Json& entry_;
  text::Position at_;
};

}  // namespace

void apply_replacements(const File& file, Resources& resources) {
  if (!file.json.contains("replacements") || !file.json["replacements"].is_array()) return;
  const auto& list = file.json["replacements"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto at = position_of(file, "replacements", i);
    const auto path = text_of(list[i], "path");
    if (path.empty()) {
      Replacement{list[i], at}.apply(resources);
      continue;
    }
    for (const auto& document : read_yaml(read_inside(file, path, at), path)) {
      const auto json = to_json(document);
      if (json.is_array()) {
        for (const auto& entry : json) Replacement{entry, at}.apply(resources);
      } else {
        Replacement{json, at}.apply(resources);
      }
    }
  }
}

}  // namespace codops::kube::kustomize

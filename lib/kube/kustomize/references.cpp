#include "lib/kube/kustomize/references.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "lib/kube/kustomize/field_specs.hpp"

namespace codops::kube::kustomize {
namespace {

bool end_alike(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto& shorter = a.size() < b.size() ? a : b;
  const auto& longer = a.size() < b.size() ? b : a;
  if (shorter.empty()) return longer.empty();
  return std::equal(shorter.rbegin(), shorter.rend(), longer.rbegin());
}

bool context_alike(const Resource& a, const Resource& b, bool empty_is_any) {
  const auto alike = [&](const std::vector<std::string>& one, const std::vector<std::string>& other) {
    return (empty_is_any && (one.empty() || other.empty())) || end_alike(one, other);
  };
  return alike(a.prefixes, b.prefixes) && alike(a.suffixes, b.suffixes);
}

using Candidates = std::vector<const Resource*>;

class Referrer {
 public:
  Referrer(Resource& self, const Resources& all, const NameReference& reference, const FieldSpec& field) : self_{self}, all_{all}, reference_{reference}, field_{field} {}

  void fix() {
    each_at(self_.value, split_path(field_.path), false, [&](Json& value) {
      if (value.is_string()) {
        if (const auto* target = find(value.get<std::string>(), std::nullopt)) value = target->name();
      } else if (value.is_object() && value.contains("name") && value["name"].is_string()) {
        fix_map(value);
      }
    });
  }

 private:
  // subjects, clientConfig.service: they name the namespace too.
  void fix_map(Json& value) {
    const auto space = value.contains("namespace") && value["namespace"].is_string() ? std::optional{value["namespace"].get<std::string>()} : std::nullopt;
    const auto* target = find(value["name"].get<std::string>(), space);
    if (!target) return;
    value["name"] = target->name();
    if (!target->namespace_().empty()) value["namespace"] = target->namespace_();
  }

  const Resource* find(const std::string& name, const std::optional<std::string>& space) const {
    Candidates found;
    for (const auto& candidate : all_) {
      if (fits(candidate, name) && (!space || in_namespace(candidate, *space))) found.push_back(&candidate);
    }
    if (found.size() == 1) return found.front();
    for (const bool empty_is_any : {true, false}) {
      if (found.size() <= 1) break;
      Candidates nearer;
      std::copy_if(found.begin(), found.end(), std::back_inserter(nearer), [&](const Resource* one) { return context_alike(*one, self_, empty_is_any); });
      found = std::move(nearer);
    }
    if (found.empty()) return nullptr;
    for (const auto* one : found) {
      if (one->name() != found.front()->name())
        throw text::failure_at(self_.at(), fmt::format("{} refers to \"{}\", which could be {} or {}", self_.id().text(), name, found.front()->id().text(), one->id().text()));
    }
    return found.front();
  }

  bool fits(const Resource& candidate, const std::string& name) const {
    const Gvk wanted{reference_.group, "", reference_.kind};
    const auto by_name = [&](const Id& id) { return id.name == name; };
    const auto by_kind = [&](const Id& id) { return wanted.fits(id); };
    if (std::none_of(candidate.previous.begin(), candidate.previous.end(), by_name) || std::none_of(candidate.previous.begin(), candidate.previous.end(), by_kind)) return false;
    if (field_.path.ends_with("roleRef/name") && self_.value.contains("roleRef") && text_of(self_.value["roleRef"], "kind") != candidate.original().kind) return false;
    const auto own = self_.id(), theirs = candidate.id();
    if (is_cluster_scoped(own) || is_cluster_scoped(theirs) || theirs.kind == "ServiceAccount") return true;
    return own.effective_namespace() == theirs.effective_namespace();
  }

  static bool in_namespace(const Resource& candidate, const std::string& space) {
    const auto wanted = space.empty() ? std::string{"default"} : space;
    return candidate.original().effective_namespace() == wanted || candidate.id().effective_namespace() == wanted;
  }

  Resource& self_;
  const Resources& all_;
  const NameReference& reference_;
  const FieldSpec& field_;
};

Json* at_dotted(Json& value, const std::string& path) {
  Json* at = &value;
  std::string step;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i < path.size() && path[i] != '.' && path[i] != '[' && path[i] != ']') {
      step += path[i];
      continue;
    }
    if (step.empty()) continue;
    if (at->is_object() && at->contains(step)) {
      at = &(*at)[step];
    } else if (at->is_array() && std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; }) && std::stoul(step) < at->size()) {
      at = &(*at)[std::stoul(step)];
    } else {
      return nullptr;
    }
    step.clear();
  }
  return at;
}

// $(NAME); $$(NAME) stays as $(NAME). A text that is one variable takes the value with its type.
Json expanded(const std::string& text, const std::map<std::string, Json>& values, std::set<std::string>& used) {
  std::string made;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      made += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      made += '$';
      ++i;
      continue;
    }
    const auto end = text[i + 1] == '(' ? text.find(')', i) : std::string::npos;
    if (end == std::string::npos) {
      made += text[i];
      continue;
    }
    const auto found = values.find(text.substr(i + 2, end - i - 2));
    if (found == values.end()) {
      made += text.substr(i, end + 1 - i);
    } else {
      used.insert(found->first);
      if (i == 0 && end + 1 == text.size()) return found->second;
      made += found->second.is_string() ? found->second.get<std::string>() : found->second.dump();
    }
    i = end;
  }
  return made;
}

}  // namespace

void fix_references(Resources& resources) {
  // Names as they were when all others were looked up: nothing here changes metadata.name.
  for (auto& resource : resources) {
    for (const auto& reference : name_references()) {
      for (const auto& field : reference.fields) {
        if (field.gvk().fits(resource.id())) Referrer{resource, resources, reference, field}.fix();
      }
    }
  }
}

std::vector<Variable> variables_of(const File& file) {
  std::vector<Variable> variables;
  if (!file.json.contains("vars") || !file.json["vars"].is_array()) return variables;
  const auto& list = file.json["vars"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto at = position_of(file, "vars", i);
    const Json object = list[i].contains("objref") ? list[i]["objref"] : Json::object();
    Variable variable{text_of(list[i], "name"), {}, "metadata.name", at};
    if (variable.name.empty() || text_of(object, "kind").empty() || text_of(object, "name").empty()) throw text::failure_at(at, "a variable needs name, objref.kind and objref.name");
    Resource named;
    named.value = {{"apiVersion", text_of(object, "apiVersion")}, {"kind", text_of(object, "kind")}, {"metadata", {{"name", text_of(object, "name")}, {"namespace", text_of(object, "namespace")}}}};
    variable.object = named.id();
    if (list[i].contains("fieldref")) {
      if (auto path = text_of(list[i]["fieldref"], "fieldpath"); !path.empty()) variable.field = std::move(path);
      if (auto path = text_of(list[i]["fieldref"], "fieldPath"); !path.empty()) variable.field = std::move(path);
    }
    variables.push_back(std::move(variable));
  }
  return variables;
}

void replace_variables(const std::vector<Variable>& variables, Resources& resources) {
  if (variables.empty()) return;
  std::map<std::string, Json> values;
  for (const auto& variable : variables) {
    const auto fits = [&](const Id& id) {
      const auto& wanted = variable.object;
      return id.kind == wanted.kind && id.name == wanted.name && (wanted.group.empty() || id.group == wanted.group) && (wanted.version.empty() || id.version == wanted.version) &&
             (wanted.namespace_.empty() || id.namespace_ == wanted.namespace_);
    };
    Resource* found = nullptr;
    for (auto& resource : resources) {
      if (fits(resource.original()) || fits(resource.id()) || std::any_of(resource.previous.begin(), resource.previous.end(), fits)) {
        if (found) throw text::failure_at(variable.at, fmt::format("the variable {} could be of {} or {}", variable.name, found->id().text(), resource.id().text()));
        found = &resource;
      }
    }
    if (!found) throw text::failure_at(variable.at, fmt::format("the variable {} is of {}, which is not there", variable.name, variable.object.text()));
    const auto* value = at_dotted(found->value, variable.field);
    if (!value || value->is_structured()) throw text::failure_at(variable.at, fmt::format("{} has no value at {}", found->id().text(), variable.field));
    if (!values.emplace(variable.name, *value).second) throw text::failure_at(variable.at, fmt::format("the variable {} is there twice", variable.name));
  }
  std::set<std::string> used;
  const auto expand = [&](Json& value) {
    if (value.is_string()) value = expanded(value.get<std::string>(), values, used);
    if (value.is_object()) {
      for (auto& [name, child] : value.items()) {
        if (child.is_string()) child = expanded(child.get<std::string>(), values, used);
      }
    }
  };
  for (auto& resource : resources) {
    for (const auto& field : variable_fields()) {
      if (field.gvk().fits(resource.id())) each_at(resource.value, split_path(field.path), false, expand);
    }
  }
}

}  // namespace codops::kube::kustomize

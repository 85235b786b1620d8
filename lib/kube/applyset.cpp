#include "lib/kube/applyset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"

namespace codops::kube {
namespace {

constexpr const char* tooling_note = "applyset.kubernetes.io/tooling";
constexpr const char* kinds_note = "applyset.kubernetes.io/contains-group-kinds";
constexpr const char* namespaces_note = "applyset.kubernetes.io/additional-namespaces";
constexpr const char* keep_note = "codops.dev/prune";

std::set<std::string> split(const std::string& text) {
  std::set<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    if (end > at) parts.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string join_words(const std::set<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

std::string kind_word(const std::string& group, const std::string& kind) { return group.empty() ? kind : kind + "." + group; }

bool is_controlled(const Object& object) {
  const auto at = nlohmann::json::json_pointer{"/metadata/ownerReferences"};
  if (!object.json().contains(at) || !object.json().at(at).is_array()) return false;
  const auto& owners = object.json().at(at);
  return std::any_of(owners.begin(), owners.end(), [](const nlohmann::json& owner) { return owner.is_object() && owner.contains("controller") && owner["controller"] == true; });
}

std::string why_kept(const Object& object, const PruneOptions& options) {
  const auto kind = object.kind();
  if (object.annotation(keep_note) == "false") return "its annotation codops.dev/prune: \"false\" keeps it";
  if (kind == "Namespace" && object.group().empty() && !options.namespaces) return "removing a Namespace removes all that is in it";
  if (kind == "PersistentVolumeClaim" && !options.volume_claims) return "removing a PersistentVolumeClaim may remove its data";
  if (kind == "CustomResourceDefinition" && !options.definitions) return "removing a CustomResourceDefinition removes every object of its kind";
  return {};
}

}  // namespace

std::string ApplySet::id() const {
  // KEP-3659: name, namespace, kind and group of the parent.
  const auto digest = io::Sha256{}.update(fmt::format("{}.{}.Secret.", name, namespace_)).raw();
  return fmt::format("applyset-{}-v1", io::to_base64url(digest));
}

std::string other_set(const Object& live, const ApplySet& set) {
  auto member_of = live.empty() ? std::string{} : live.label(applyset_part_of);
  return member_of == set.id() ? std::string{} : member_of;
}

Object applyset_parent(const ApplySet& set, const std::vector<Object>& members, const Object& former) {
  auto kinds = split(former.annotation(kinds_note));
  auto namespaces = split(former.annotation(namespaces_note));
  for (const auto& member : members) {
    kinds.insert(kind_word(member.group(), member.kind()));
    if (const auto space = member.namespace_(); !space.empty() && space != set.namespace_) namespaces.insert(space);
  }
  nlohmann::json parent{{"apiVersion", "v1"},
                        {"kind", "Secret"},
                        {"metadata",
                         {{"name", set.name},
                          {"namespace", set.namespace_},
                          {"labels", {{applyset_id, set.id()}}},
                          {"annotations", {{tooling_note, set.tooling}, {kinds_note, join_words(kinds)}, {namespaces_note, join_words(namespaces)}}}}},
                        {"type", "Opaque"}};
  return Object{std::move(parent)};
}

void join(std::vector<Object>& members, const ApplySet& set) {
  const auto id = set.id();
  for (auto& member : members) member.set_label(applyset_part_of, id);
}

namespace {

const ResourceType* type_of(const std::string& word, const ResourceTypes& types) {
  const auto dot = word.find('.');
  return types.find(dot == std::string::npos ? "" : word.substr(dot + 1), "", word.substr(0, dot));
}

}  // namespace

bool knows_members(const Object& parent, const ResourceTypes& types) {
  const auto words = split(parent.annotation(kinds_note));
  return std::all_of(words.begin(), words.end(), [&](const auto& word) { return type_of(word, types) != nullptr; });
}

std::vector<MemberList> member_lists(const Object& parent, const ResourceTypes& types) {
  auto namespaces = split(parent.annotation(namespaces_note));
  namespaces.insert(parent.namespace_());
  std::vector<MemberList> lists;
  for (const auto& word : split(parent.annotation(kinds_note))) {
    const auto* type = type_of(word, types);
    // A kind that the cluster no longer serves has no members left either.
    if (!type) continue;
    // To list all of them takes a right of the whole cluster; those that count are known by name (member_namespaces).
    if (type->group.empty() && type->kind == "Namespace") continue;
    if (!type->namespaced) {
      lists.push_back({type, {}});
    } else {
      for (const auto& space : namespaces) lists.push_back({type, space});
    }
  }
  return lists;
}

std::set<std::string> member_namespaces(const Object& parent) {
  const auto kinds = split(parent.annotation(kinds_note));
  if (!kinds.contains("Namespace")) return {};
  auto names = split(parent.annotation(namespaces_note));
  names.insert(parent.namespace_());
  return names;
}

Prune prune_set(const std::vector<Object>& live, const std::vector<Object>& desired, const ApplySet& set, const PruneOptions& options) {
  std::set<Ref> wanted;
  for (const auto& object : desired) wanted.insert(object.ref());
  Prune prune;
  const auto id = set.id();
  for (const auto& object : live) {
    if (object.label(applyset_part_of) != id || wanted.contains(object.ref()) || is_controlled(object) || object.is_going()) continue;
    if (auto why = why_kept(object, options); !why.empty()) {
      prune.kept.push_back({object, std::move(why)});
    } else {
      prune.gone.push_back(object);
    }
  }
  sort_for_delete(prune.gone);
  return prune;
}

}  // namespace codops::kube

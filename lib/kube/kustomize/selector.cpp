#include "lib/kube/kustomize/selector.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/kube/kustomize/file.hpp"

namespace codops::kube::kustomize {
namespace {

std::string trimmed(std::string text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::vector<std::string> parts_of(const std::string& text, char separator) {  // not inside parentheses
  std::vector<std::string> parts{""};
  int depth = 0;
  for (const auto c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == separator && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  for (auto& part : parts) part = trimmed(part);
  return parts;
}

// a=b, a==b, a!=b, a in (b,c), a notin (b,c), a, !a
bool requirement_holds(const Json& labels, const std::string& requirement) {
  const auto value_of = [&](const std::string& key) -> std::optional<std::string> {
    const auto found = labels.find(key);
    return found == labels.end() || !found->is_string() ? std::nullopt : std::optional{found->get<std::string>()};
  };
  if (requirement.empty()) return true;
  if (const auto at = requirement.find("!="); at != std::string::npos) return value_of(trimmed(requirement.substr(0, at))) != trimmed(requirement.substr(at + 2));
  if (const auto at = requirement.find('='); at != std::string::npos) {
    const auto from = requirement.compare(at, 2, "==") == 0 ? at + 2 : at + 1;
    return value_of(trimmed(requirement.substr(0, at))) == trimmed(requirement.substr(from));
  }
  for (const auto* word : {" notin ", " in "}) {
    const auto at = requirement.find(word);
    if (at == std::string::npos) continue;
    auto set = trimmed(requirement.substr(at + std::string_view{word}.size()));
    if (set.size() >= 2 && set.front() == '(') set = set.substr(1, set.size() - 2);
    const auto value = value_of(trimmed(requirement.substr(0, at)));
    const auto values = parts_of(set, ',');
    const bool among = value && std::find(values.begin(), values.end(), *value) != values.end();
    return std::string_view{word} == " in " ? among : !among;
  }
  if (requirement.front() == '!') return !value_of(trimmed(requirement.substr(1)));
  return value_of(requirement).has_value();
}

}  // namespace

Selector::Selector(const Json& target, const text::Position& at) {
  const auto part = [&](const char* name, Part& into) {
    auto text = text_of(target, name);
    if (text.empty()) return;
    try {
      into.expression = std::regex{text};
    } catch (const std::regex_error&) {
      throw text::failure_at(at, fmt::format("{}: \"{}\" of the target is not a regular expression", name, text));
    }
  };
  part("group", group_);
  part("version", version_);
  part("kind", kind_);
  part("name", name_);
  part("namespace", namespace_);
  labels_ = text_of(target, "labelSelector");
  annotations_ = text_of(target, "annotationSelector");
}

bool Selector::fits_labels(const Resource& resource, const char* map, const std::string& selector) const {
  if (selector.empty()) return true;
  const Json::json_pointer at{std::string{"/metadata/"} + map};
  const Json labels = resource.value.contains(at) && resource.value.at(at).is_object() ? resource.value.at(at) : Json::object();
  const auto parts = parts_of(selector, ',');
  return std::all_of(parts.begin(), parts.end(), [&](const std::string& part) { return requirement_holds(labels, part); });
}

bool Selector::fits(const Resource& resource) const {
  const auto current = resource.id();
  if (!group_.fits(current.group) || !version_.fits(current.version) || !kind_.fits(current.kind)) return false;
  const auto by_id = [&](const Id& id) { return name_.fits(id.name) && (namespace_.fits(id.namespace_) || namespace_.fits(id.effective_namespace())); };
  const bool named = by_id(current) || std::any_of(resource.previous.begin(), resource.previous.end(), by_id);
  return named && fits_labels(resource, "labels", labels_) && fits_labels(resource, "annotations", annotations_);
}

}  // namespace codops::kube::kustomize

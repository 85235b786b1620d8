#include "lib/kube/images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/schema.hpp"
#include "lib/text/interpolation.hpp"
#include "lib/text/problems.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;
constexpr std::string_view placeholder = "{version}";

bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// Only the one variable is replaced: scripts and templates in manifests have dollar signs of their own.
class VersionText {
 public:
  explicit VersionText(const VersionRules& rules) : rules_{rules} {}

  // nullopt: the variable is not in it.
  std::optional<std::string> replaced(std::string_view text) const {
    const auto open = "${" + rules_.variable;
    std::string made;
    bool changed = false;
    for (std::size_t at = 0; at < text.size();) {
      const auto begin = text.find(open, at);
      const auto after = begin == std::string_view::npos ? begin : begin + open.size();
      if (begin == std::string_view::npos || after >= text.size()) {
        made += text.substr(at);
        break;
      }
      const auto end = end_of(text, begin);
      if (is_name_character(text[after]) || end == std::string_view::npos) {
        made += text.substr(at, after - at);
        at = after;
        continue;
      }
      made += text.substr(at, begin - at);
      made += value_of(text.substr(begin, end - begin));
      at = end;
      changed = true;
    }
    return changed ? std::optional{std::move(made)} : std::nullopt;
  }

 private:
  static std::size_t end_of(std::string_view text, std::size_t at) {
    int depth = 0;
    for (; at < text.size(); ++at) {
      if (text[at] == '{') ++depth;
      if (text[at] == '}' && --depth == 0) return at + 1;
    }
    return std::string_view::npos;
  }
  std::string value_of(std::string_view reference) const {
    const auto lookup = [&](std::string_view name) -> std::optional<std::string> {
      if (name == rules_.variable && !rules_.version.empty()) return rules_.version;
      return std::nullopt;
    };
    return text::interpolate(reference, lookup, [&](std::string_view name) {
      throw Failure{Exit::config, fmt::format("${{{}}} has no value here", name), fmt::format("give a version, or write ${{{}:-…}} with what should be taken without one", name)};
    });
  }

  const VersionRules& rules_;
};

bool replace_in(Json& value, const VersionText& text, const Object& object, const std::string& path, text::Problems& problems) {
  bool changed = false;
  if (value.is_object()) {
    for (auto& [name, child] : value.items()) {
      if (replace_in(child, text, object, path.empty() ? name : path + "." + name, problems)) changed = true;
    }
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (replace_in(value[i], text, object, fmt::format("{}[{}]", path, i), problems)) changed = true;
    }
  } else if (value.is_string()) {
    try {
      if (auto made = text.replaced(value.get_ref<const std::string&>())) {
        changed = true;
        value = std::move(*made);
      }
    } catch (const Failure& failure) {
      problems.add(object.at(path), failure.message(), failure.hint());
    }
  }
  return changed;
}

bool holds_variable(const Json& value, const std::string& open) {
  if (value.is_string()) return value.get_ref<const std::string&>().find(open) != std::string::npos;
  if (!value.is_structured()) return false;
  return std::any_of(value.begin(), value.end(), [&](const Json& child) { return holds_variable(child, open); });
}

template <typename Use>  // Use(container, is_init)
void each_container(Json& object, const std::string& pod_spec, const Use& use) {
  if (pod_spec.empty()) return;
  const Json::json_pointer at{pod_spec};
  if (!object.contains(at) || !object[at].is_object()) return;
  for (const auto* list : {"initContainers", "containers", "ephemeralContainers"}) {
    if (!object[at].contains(list) || !object[at][list].is_array()) continue;
    for (auto& container : object[at][list]) {
      if (container.is_object()) use(container, std::string_view{list} != "containers");
    }
  }
}

std::string image_of(const Json& container) {
  const auto found = container.find("image");
  return found != container.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::string name_of(const Json& container) {
  const auto found = container.find("name");
  return found != container.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

// One entry of `images`: what it names, in the order of VersionRules.
class ImageRule {
 public:
  ImageRule(std::string key, std::string image) : key_{std::move(key)}, image_{std::move(image)} {}

  // How many containers have it now; throws when the key names a workload but none of its containers can be told.
  int apply(std::vector<Object>& objects) const {
    int hits = 0;
    for (auto& object : objects) hits += by_workload(object);
    if (hits > 0) return hits;
    for (auto& object : objects) {
      hits += put(object, [&](const Json& container) { return parse_image(image_of(container)).repository == key_; });
    }
    return hits;
  }

 private:
  int by_workload(Object& object) const {
    const auto pointer = pod_spec_pointer(object);
    if (pointer.empty()) return 0;
    const auto name = object.name();
    if (key_.starts_with(name + "/")) {
      const auto container = key_.substr(name.size() + 1);
      return put(object, [&](const Json& candidate) { return name_of(candidate) == container; });
    }
    if (key_ != name) return 0;
    std::vector<std::string> names;
    auto copy = object.json();
    each_container(copy, pointer, [&](const Json& container, bool init) {
      if (!init) names.push_back(name_of(container));
    });
    const bool by_name = std::find(names.begin(), names.end(), name) != names.end();
    if (names.size() != 1 && !by_name)
      throw text::failure_at(object.at(), fmt::format("images: \"{}\" has {} containers, and none of its name", key_, names.size()),
                             fmt::format("write \"{}/{}\" in codops.yaml", key_, names.empty() ? "CONTAINER" : names.front()));
    const auto wanted = by_name ? name : names.front();
    return put(object, [&](const Json& candidate) { return name_of(candidate) == wanted; });
  }

  template <typename Fits>
  int put(Object& object, const Fits& fits) const {
    const auto pointer = pod_spec_pointer(object);
    if (pointer.empty()) return 0;
    int hits = 0;
    each_container(object.edit(), pointer, [&](Json& container, bool) {
      if (!fits(container)) return;
      container["image"] = image_;
      ++hits;
    });
    return hits;
  }

  std::string key_, image_;
};

}  // namespace

ImageReference parse_image(std::string_view image) {
  ImageReference parsed;
  if (const auto at = image.find('@'); at != std::string_view::npos) {
    parsed.digest = image.substr(at + 1);
    image = image.substr(0, at);
  }
  // A colon before the last slash is a registry's port.
  const auto slash = image.rfind('/');
  const auto colon = image.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    parsed.tag = image.substr(colon + 1);
    image = image.substr(0, colon);
  }
  parsed.repository = image;
  return parsed;
}

bool put_version(std::vector<Object>& objects, const VersionRules& rules) {
  text::Problems problems;
  bool changed = false;
  for (const auto& [key, pattern] : rules.images) {
    auto image = pattern;
    const auto at = image.find(placeholder);
    if (at != std::string::npos) {
      if (rules.version.empty()) continue;  // without a version the manifest's own image stands
      image.replace(at, placeholder.size(), rules.version);
    }
    try {
      if (ImageRule{key, image}.apply(objects) > 0) {
        changed = changed || at != std::string::npos;
        continue;
      }
      std::vector<std::string> names;
      for (const auto& object : objects) {
        if (!pod_spec_pointer(object).empty()) names.push_back(object.name());
      }
      const auto near = nearest(key, names);
      problems.add(Failure{Exit::config, fmt::format("images: no workload and no image of the manifests is called \"{}\"", key),
                           near.empty() ? "a key is a workload's name, WORKLOAD/CONTAINER, or an image without its tag" : fmt::format("did you mean \"{}\"?", near)});
    } catch (const Failure& failure) {
      problems.add(failure);
    }
  }
  const VersionText text{rules};
  const auto open = "${" + rules.variable;
  for (auto& object : objects) {
    if (!holds_variable(object.json(), open)) continue;
    const bool data = object.group().empty() && (object.kind() == "ConfigMap" || object.kind() == "Secret");
    for (auto& [name, value] : object.edit().items()) {
      if (data && (name == "data" || name == "stringData" || name == "binaryData")) continue;
      if (replace_in(value, text, object, name, problems) && !rules.version.empty()) changed = true;
    }
  }
  problems.throw_if_any();
  return changed;
}

std::vector<ContainerImage> images_of(const std::vector<Object>& objects) {
  std::vector<ContainerImage> images;
  for (const auto& object : objects) {
    const auto pointer = pod_spec_pointer(object);
    if (pointer.empty()) continue;
    auto copy = object.json();
    each_container(copy, pointer, [&](const Json& container, bool init) {
      const auto policy = container.find("imagePullPolicy");
      images.push_back({object.ref(), name_of(container), image_of(container), init, policy != container.end() && policy->is_string() ? policy->get<std::string>() : ""});
    });
  }
  return images;
}

Pinned pin_images(std::vector<Object>& objects, const ResolveDigest& resolve) {
  Pinned pinned;
  std::map<std::string, std::optional<std::string>> asked;
  for (auto& object : objects) {
    const auto pointer = pod_spec_pointer(object);
    if (pointer.empty()) continue;
    each_container(object.edit(), pointer, [&](Json& container, bool) {
      const auto image = image_of(container);
      const auto parsed = parse_image(image);
      const auto policy = container.find("imagePullPolicy");
      if (image.empty() || !parsed.digest.empty() || (policy != container.end() && *policy == "Never")) return;
      auto found = asked.find(image);
      if (found == asked.end()) found = asked.emplace(image, resolve(image)).first;
      if (found->second) container["image"] = image + "@" + *found->second;
    });
  }
  for (const auto& [image, digest] : asked) {
    if (digest) {
      pinned.digests[image] = *digest;
    } else {
      pinned.unresolved.push_back(image);
    }
  }
  return pinned;
}

}  // namespace codops::kube

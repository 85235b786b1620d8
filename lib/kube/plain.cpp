#include "lib/kube/plain.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/kube/fields.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

constexpr std::size_t longest_label = 63;
constexpr std::size_t longest_domain = 253;
constexpr std::size_t longest_port_name = 15;
// The server's limits are 1 MiB and 256 KiB; what comes near them is for the server to weigh.
constexpr std::size_t most_data = 512 * 1024;
constexpr std::size_t most_annotations = 128 * 1024;
constexpr int largest_port = 65535;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_letter(c) || is_digit(c); }
bool all_of(std::string_view text, bool (*good)(char)) { return std::all_of(text.begin(), text.end(), good); }

// RFC 1123; with `letter_first` RFC 1035, as Services have it.
bool is_dns_label(std::string_view text, bool letter_first = false) {
  if (text.empty() || text.size() > longest_label || text.front() == '-' || text.back() == '-') return false;
  if (letter_first && !is_lower(text.front())) return false;
  return all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool is_dns_name(std::string_view text) {
  if (text.size() > longest_domain) return false;
  for (;;) {
    const auto dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_label_text(std::string_view text) {
  return text.size() <= longest_label && !text.empty() && is_word(text.front()) && is_word(text.back()) &&
         all_of(text, [](char c) { return is_word(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_label_key(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return is_label_text(key);
  return is_dns_name(key.substr(0, slash)) && is_label_text(key.substr(slash + 1));
}

bool are_labels(const Json& labels) {
  if (!labels.is_object()) return false;
  return std::all_of(labels.items().begin(), labels.items().end(), [](const auto& label) {
    if (!label.value().is_string()) return false;
    const auto& value = label.value().template get_ref<const std::string&>();
    return is_label_key(label.key()) && (value.empty() || is_label_text(value));
  });
}

// Every value a text, every name as it must be, and all together not more than that.
template <typename Good>
bool are_texts(const Json& map, std::size_t most, Good good_key) {
  if (!map.is_object()) return false;
  std::size_t size = 0;
  for (const auto& [key, value] : map.items()) {
    if (!value.is_string() || !good_key(key)) return false;
    size += key.size() + value.template get_ref<const std::string&>().size();
  }
  return size <= most;
}

bool is_data_key(std::string_view key) {
  return !key.empty() && key.size() <= longest_domain && key != "." && !key.starts_with("..") &&
         all_of(key, [](char c) { return is_word(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_annotation_key(std::string_view key) {
  std::string lower{key};
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return is_label_key(lower);
}

bool is_plain_metadata(const Json& metadata, bool service) {
  if (!metadata.is_object()) return false;
  bool named = false;
  for (const auto& [field, value] : metadata.items()) {
    if (field == "name") {
      if (!value.is_string()) return false;
      const auto& name = value.get_ref<const std::string&>();
      named = service ? is_dns_label(name, true) : is_dns_name(name);
    } else if (field == "namespace") {
      if (!value.is_string() || !is_dns_label(value.get_ref<const std::string&>())) return false;
    } else if (field == "labels") {
      if (!are_labels(value)) return false;
    } else if (field == "annotations") {
      if (!are_texts(value, most_annotations, is_annotation_key)) return false;
    } else {
      return false;
    }
  }
  return named;
}

bool is_port(const Json& value) { return value.is_number_integer() && value.get<std::int64_t>() >= 1 && value.get<std::int64_t>() <= largest_port; }

// RFC 6335: as containers name their ports.
bool is_port_name(const Json& value) {
  if (!value.is_string()) return false;
  const auto& name = value.get_ref<const std::string&>();
  return is_dns_label(name) && name.size() <= longest_port_name && name.find("--") == std::string::npos && std::any_of(name.begin(), name.end(), is_lower);
}

bool are_plain_ports(const Json& ports) {
  if (!ports.is_array() || ports.empty()) return false;
  std::set<std::string> names;
  std::set<std::pair<std::int64_t, std::string>> numbers;
  for (const auto& port : ports) {
    if (!port.is_object() || !port.contains("port")) return false;
    std::string name, protocol = "TCP";
    for (const auto& [field, value] : port.items()) {
      if (field == "port") {
        if (!is_port(value)) return false;
      } else if (field == "targetPort") {
        if (!is_port(value) && !is_port_name(value)) return false;
      } else if (field == "name") {
        if (!value.is_string() || !is_dns_label(value.get_ref<const std::string&>())) return false;
        name = value;
      } else if (field == "protocol") {
        if (value != "TCP" && value != "UDP") return false;
        protocol = value;
      } else {
        return false;
      }
    }
    // Several ports each need a name of their own.
    if (!names.insert(name).second || (name.empty() && ports.size() > 1)) return false;
    if (!numbers.emplace(port.at("port").get<std::int64_t>(), protocol).second) return false;
  }
  return true;
}

bool is_plain_spec(const Json& spec) {
  if (!spec.is_object() || !spec.contains("ports")) return false;
  return std::all_of(spec.items().begin(), spec.items().end(), [](const auto& entry) {
    if (entry.key() == "ports") return are_plain_ports(entry.value());
    if (entry.key() == "selector") return are_labels(entry.value());
    return entry.key() == "type" && entry.value() == "ClusterIP";
  });
}

// Maps of texts in which every key stands for itself.
const std::array<Json::json_pointer, 3> maps{Json::json_pointer{"/metadata/labels"}, Json::json_pointer{"/metadata/annotations"}, Json::json_pointer{"/data"}};

// nullptr unless codops is the only one that ever wrote into it.
const Json* only_codops_fields(const Json& live) {
  const auto metadata = live.find("metadata");
  if (metadata == live.end() || !metadata->contains("managedFields")) return nullptr;
  const auto& entries = metadata->at("managedFields");
  if (!entries.is_array() || entries.size() != 1) return nullptr;
  const auto& entry = entries.front();
  const bool ours = entry.value("manager", "") == "codops" && entry.value("operation", "") == "Apply" && entry.value("subresource", "").empty();
  return ours && entry.contains("fieldsV1") ? &entry.at("fieldsV1") : nullptr;
}

// The map and the key, of a path that leads into one of them.
std::optional<std::pair<Json::json_pointer, std::string>> key_in_map(const FieldPath& path) {
  Json::json_pointer parent;
  for (std::size_t index = 0; index < path.size(); ++index) {
    if (path[index].kind != FieldStep::Kind::name) return std::nullopt;
    if (index + 1 < path.size()) parent /= path[index].text;
  }
  if (path.empty() || std::find(maps.begin(), maps.end(), parent) == maps.end()) return std::nullopt;
  return std::pair{parent, path.back().text};
}

}  // namespace

std::optional<Object> plain_result(const Object& live, const Object& desired) {
  const auto* owned = live.is_going() || !is_plain(desired) ? nullptr : only_codops_fields(live.json());
  if (owned == nullptr) return std::nullopt;
  if (desired.json().contains("spec") && !is_within(desired.json().at("spec"), live.json().value("spec", Json()))) return std::nullopt;
  Object result = live;
  auto& json = result.edit();
  for (const auto& path : leaves_of(*owned)) {
    if (value_at(desired.json(), path) != nullptr) continue;
    const auto gone = key_in_map(path);
    if (!gone) return std::nullopt;
    if (json.contains(gone->first)) json[gone->first].erase(gone->second);
  }
  for (const auto& map : maps) {
    if (!desired.json().contains(map)) {
      // The last key takes the map along.
      if (json.contains(map) && json[map].empty()) json[map.parent_pointer()].erase(map.back());
      continue;
    }
    for (const auto& [key, value] : desired.json().at(map).items()) json[map][key] = value;
  }
  return result;
}

bool is_plain(const Object& object) {
  const bool service = object.kind() == "Service";
  if (object.api_version() != "v1" || (!service && object.kind() != "ConfigMap") || !object.json().contains("metadata")) return false;
  if (service && !object.json().contains("spec")) return false;
  for (const auto& [field, value] : object.json().items()) {
    if (field == "apiVersion" || field == "kind") continue;
    if (field == "metadata" ? !is_plain_metadata(value, service)
        : service           ? field != "spec" || !is_plain_spec(value)
                            : field != "data" || !are_texts(value, most_data, is_data_key)) {
      return false;
    }
  }
  return true;
}

}  // namespace codops::kube

#include "lib/kube/kustomize/generators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "lib/io/crypto.hpp"

namespace codops::kube::kustomize {
namespace {

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

// kustomize breaks base64 after 70 characters, and the hash of the name is over that text.
std::string wrapped_base64(const std::string& bytes) {
  const auto text = io::to_base64(bytes);
  constexpr std::size_t width = 70;
  if (text.size() < width) return text;
  std::string made;
  for (std::size_t at = 0; at < text.size(); at += width) made += text.substr(at, width) + "\n";
  return made;
}

class Generator {
 public:
  Generator(const File& file, const Json& entry, bool secret, text::Position at) : file_{file}, entry_{entry}, secret_{secret}, at_{std::move(at)} {}

  Resource make() {
    const auto name = text_of(entry_, "name");
    if (name.empty()) throw text::failure_at(at_, "a generator needs a name");
    Resource made;
    made.value = {{"apiVersion", "v1"}, {"kind", secret_ ? "Secret" : "ConfigMap"}, {"metadata", {{"name", name}}}};
    if (const auto space = text_of(entry_, "namespace"); !space.empty()) made.value["metadata"]["namespace"] = space;
    if (secret_) made.value["type"] = text_of(entry_, "type").empty() ? "Opaque" : text_of(entry_, "type");
    for (const auto& source : texts_of(entry_, "envs")) read_env(source);
    if (const auto source = text_of(entry_, "env"); !source.empty()) read_env(source);
    for (const auto& literal : texts_of(entry_, "literals")) read_literal(literal);
    for (const auto& source : texts_of(entry_, "files")) read_file_source(source);
    if (secret_ || !data_.empty()) made.value["data"] = data_;
    if (!binary_.empty()) made.value["binaryData"] = binary_;
    const auto all = options();
    for (const auto* map : {"labels", "annotations"}) {
      if (all.contains(map) && !all[map].empty()) made.value["metadata"][map] = all[map];
    }
    if (flag_of(all, "immutable", at_)) made.value["immutable"] = true;
    made.needs_hash = !flag_of(all, "disableNameSuffixHash", at_);
    auto node = std::make_shared<text::Node>();
    node->at = at_;
    made.source = std::move(node);
    return made;
  }

 private:
  // generatorOptions below, the entry's own above.
  Json options() const {
    Json made = file_.json.contains("generatorOptions") && file_.json["generatorOptions"].is_object() ? file_.json["generatorOptions"] : Json::object();
    if (!entry_.contains("options") || !entry_["options"].is_object()) return made;
    for (const auto& [name, value] : entry_["options"].items()) {
      if (value.is_object() && made.contains(name) && made[name].is_object()) {
        made[name].update(value);
      } else if (value.is_boolean() && made.contains(name) && made[name].is_boolean()) {
        made[name] = made[name].get<bool>() || value.get<bool>();
      } else {
        made[name] = value;
      }
    }
    return made;
  }

  void put(const std::string& key, const std::string& value) {
    if (key.empty() || !std::all_of(key.begin(), key.end(), [](char c) { return c == '-' || c == '_' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }))
      throw text::failure_at(at_, fmt::format("\"{}\" can't be a key: letters, digits, \"-\", \"_\" and \".\" can", key));
    if (data_.contains(key) || binary_.contains(key)) throw text::failure_at(at_, fmt::format("the key \"{}\" is there twice", key));
    if (secret_) {
      data_[key] = wrapped_base64(value);
    } else if (is_utf8(value)) {
      data_[key] = value;
    } else {
      binary_[key] = wrapped_base64(value);
    }
  }

  void read_literal(const std::string& literal) {
    const auto equals = literal.find('=');
    if (equals == std::string::npos || equals == 0) throw text::failure_at(at_, fmt::format("the literal \"{}\" is not KEY=VALUE", literal));
    auto value = literal.substr(equals + 1);
    const auto begin = value.find_first_not_of("\"'");
    const auto end = value.find_last_not_of("\"'");
    put(literal.substr(0, equals), begin == std::string::npos ? std::string{} : value.substr(begin, end - begin + 1));
  }

  void read_file_source(const std::string& source) {
    const auto equals = source.find('=');
    const auto path = equals == std::string::npos ? source : source.substr(equals + 1);
    put(equals == std::string::npos ? std::filesystem::path{source}.filename().string() : source.substr(0, equals), read_inside(file_, path, at_));
  }

  void read_env(const std::string& source) {
    auto text = read_inside(file_, source, at_);
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    for (std::size_t at = 0, number = 1; at < text.size(); ++number) {
      const auto end = std::min(text.find('\n', at), text.size());
      auto line = text.substr(at, end - at);
      at = end + 1;
      if (line.ends_with('\r')) line.pop_back();
      line.erase(0, std::min(line.find_first_not_of(" \t\v\f"), line.size()));
      if (line.empty() || line.front() == '#') continue;
      const auto equals = line.find('=');
      const auto key = line.substr(0, equals);
      if (equals != std::string::npos) {
        put(key, line.substr(equals + 1));
      } else {
        throw text::failure_at(at_, fmt::format("{}:{}: \"{}\" has no value: it would be taken from the shell, differently on every machine", source, number, key), "write KEY=VALUE");
      }
    }
  }

  const File& file_;
  const Json& entry_;
  bool secret_;
  text::Position at_;
  Json data_ = Json::object(), binary_ = Json::object();
};

void merge_maps(Json& into, const Json& from, const char* name) {  // `into` wins
  if (!from.contains(name) || !from[name].is_object()) return;
  auto united = from[name];
  if (into.contains(name) && into[name].is_object()) united.update(into[name]);
  into[name] = std::move(united);
}

void absorb(Resources& into, Resource made, const std::string& behavior, const text::Position& at) {
  const auto id = made.id();
  std::vector<Resource*> matches;
  for (auto& resource : into) {
    if (!resource.deleted && resource.was(id)) matches.push_back(&resource);
  }
  const bool changes = behavior == "merge" || behavior == "replace";
  if (!behavior.empty() && !changes && behavior != "create") throw text::failure_at(at, fmt::format("behavior: {} is not one of create, merge, replace", behavior));
  if (matches.empty()) {
    if (changes) throw text::failure_at(at, fmt::format("there is no {} to {}", id.text(), behavior));
    into.push_back(std::move(made));
    return;
  }
  if (matches.size() > 1) throw text::failure_at(at, fmt::format("{} could be any of {} objects", id.text(), matches.size()));
  if (!changes) throw text::failure_at(at, fmt::format("{} is there already, from {}", id.text(), matches.front()->at().text()), "behavior: merge or behavior: replace changes it");
  auto& old = *matches.front();
  if (!old.value["metadata"].is_object()) throw text::failure_at(old.at(), "metadata has to be a mapping");
  merge_maps(made.value["metadata"], old.value["metadata"], "labels");
  merge_maps(made.value["metadata"], old.value["metadata"], "annotations");
  made.value["metadata"]["name"] = old.name();
  if (!old.namespace_().empty()) made.value["metadata"]["namespace"] = old.namespace_();
  if (behavior == "merge") {
    merge_maps(made.value, old.value, "data");
    merge_maps(made.value, old.value, "binaryData");
  }
  made.previous = old.previous;
  made.prefixes = old.prefixes;
  made.suffixes = old.suffixes;
  old = std::move(made);
}

// As Go's encoding/json writes it: < > & and the two line separators are escaped.
std::string go_json(const Json& value) {
  std::string made;
  const auto plain = value.dump();
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const auto c = plain[i];
    if (c == '<' || c == '>' || c == '&') {
      made += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else if (plain.compare(i, 3, "\xE2\x80\xA8") == 0 || plain.compare(i, 3, "\xE2\x80\xA9") == 0) {
      made += plain[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      made += c;
    }
  }
  return made;
}

}  // namespace

void generate(const File& file, Resources& into) {
  for (const auto* field : {"configMapGenerator", "secretGenerator"}) {
    if (!file.json.contains(field) || !file.json[field].is_array()) continue;
    const auto& list = file.json[field];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto at = position_of(file, field, i);
      absorb(into, Generator{file, list[i], std::string_view{field} == "secretGenerator", at}.make(), text_of(list[i], "behavior"), at);
    }
  }
}

std::string content_hash(const Json& object) {
  const bool secret = text_of(object, "kind") == "Secret";
  // kustomize means to put the name in, and does not find it.
  Json hashed{{"kind", object["kind"]}, {"name", ""}, {"data", object.contains("data") ? object["data"] : Json("")}};
  if (secret) hashed["type"] = object.contains("type") ? object["type"] : Json("");
  if (const auto* more = secret ? "stringData" : "binaryData"; object.contains(more) && object[more].is_object()) hashed[more] = object[more];
  auto digits = io::sha256_hex(go_json(hashed)).substr(0, 10);
  // Letters that can't spell a word.
  for (auto& c : digits) {
    switch (c) {
      case '0': c = 'g'; break;
      case '1': c = 'h'; break;
      case '3': c = 'k'; break;
      case 'a': c = 'm'; break;
      case 'e': c = 't'; break;
      default: break;
    }
  }
  return digits;
}

}  // namespace codops::kube::kustomize

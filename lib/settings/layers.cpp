#include "lib/settings/layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "lib/base/failure.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/settings/schema.hpp"

namespace codops::settings {
namespace {

std::string joined(std::string_view prefix, std::string_view name) {
  return prefix.empty() ? std::string{name} : fmt::format("{}.{}", prefix, name);
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const auto near = nearest(word, known);
  return near.empty() ? std::string{} : fmt::format("did you mean \"{}\"?", near);
}

std::string lower(std::string_view text) {
  std::string made;
  for (const char c : text) made += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return made;
}

bool takes_list(Type type) { return type == Type::list || type == Type::integers || type == Type::argv; }

// A value with ${…} is judged once its variables are known.
bool is_open(std::string_view word) { return word.find('$') != std::string_view::npos; }

class MappingReader {
 public:
  MappingReader(const std::vector<std::string>& also, std::vector<Problem>& problems)
      : also_{also}, problems_{problems} {}

  Values read(const text::Node& mapping) {
    if (mapping.is_null()) return {};
    if (!mapping.is_mapping()) {
      add(mapping.at, fmt::format("settings are a mapping, not {}", mapping.kind_name()), "write name: value");
      return {};
    }
    section(mapping, {}, {});
    return std::move(values_);
  }

 private:
  // `pattern` is the section as the schema writes it, `path` as it is here.
  void section(const text::Node& mapping, const std::string& pattern, const std::string& path) {
    const auto children = children_of(pattern);
    for (const auto& entry : mapping.entries) {
      if (pattern.empty() && is_extra(entry.key)) continue;
      const auto child = child_for(children, entry.key);
      if (child.empty()) {
        unknown(entry, children, path);
        continue;
      }
      const auto name = child == "*" ? escape_name(entry.key) : entry.key;
      value(entry, joined(pattern, child), joined(path, name));
    }
  }

  static std::string child_for(const std::vector<std::string>& children, const std::string& key) {
    for (const auto& child : children) {
      if (child != "*" && (child == key || child == key + "[]")) return child;
    }
    return std::find(children.begin(), children.end(), "*") != children.end() ? "*" : std::string{};
  }

  bool is_extra(const std::string& key) const {
    return key.starts_with("x-") || std::find(also_.begin(), also_.end(), key) != also_.end();
  }

  void unknown(const text::Entry& entry, const std::vector<std::string>& children, const std::string& path) {
    std::vector<std::string> known;
    for (const auto& child : children) known.push_back(child.substr(0, child.find('[')));
    if (path.empty()) known.insert(known.end(), also_.begin(), also_.end());
    auto hint = suggestion(entry.key, known);
    if (hint.empty()) hint = elsewhere(entry.key);
    add(entry.at, path.empty() ? fmt::format("unknown key \"{}\"", io::shown_word(entry.key))
                               : fmt::format("unknown key \"{}\" in {}", io::shown_word(entry.key), path), hint);
  }

  // A known name in the wrong place is the commoner mistake than a new one.
  static std::string elsewhere(const std::string& key) {
    for (const Key& row : schema()) {
      if (row.path.ends_with("." + key)) return fmt::format("there is \"{}\"", row.path);
    }
    return {};
  }

  void value(const text::Entry& entry, const std::string& pattern, const std::string& path) {
    const auto& node = entry.value;
    if (pattern.ends_with("[]")) return list_of_sections(node, pattern, path);
    if (const auto* key = find_key(path); key != nullptr && key->path == pattern) return leaf(*key, entry, path);
    if (node.is_null()) return;
    if (!node.is_mapping()) return add(node.at, fmt::format("{} is a mapping, not {}", path, node.kind_name()));
    section(node, pattern, path);
  }

  void list_of_sections(const text::Node& node, const std::string& pattern, const std::string& path) {
    if (!node.is_sequence() && !node.is_null()) {
      return add(node.at, fmt::format("{} is a list, not {}", path, node.kind_name()), "begin each entry with \"- \"");
    }
    if (node.items.empty()) values_.set(path, {{}, true, origin_of(node.at)});
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const auto& item = node.items[i];
      const auto here = fmt::format("{}[{}]", path, i);
      if (item.is_mapping()) section(item, pattern, here);
      else add(item.at, fmt::format("{} is a mapping, not {}", here, item.kind_name()), needed_in(pattern));
    }
  }

  static std::string needed_in(const std::string& pattern) {
    const auto children = children_of(pattern);
    return children.empty() ? std::string{} : fmt::format("write - {}: …", children.front());
  }

  void leaf(const Key& key, const text::Entry& entry, const std::string& path) {
    const auto& node = entry.value;
    if (node.is_null()) {
      if (takes_list(key.type)) return values_.set(path, {{}, true, origin_of(entry.at)});
      return add(entry.at, fmt::format("{} has no value", path), "remove the line to keep what is built in");
    }
    if (node.is_sequence() && takes_list(key.type)) {
      Value made{{}, true, origin_of(node.at)};
      for (const auto& item : node.items) {
        if (const auto text = word(key, item, path)) made.words.push_back(*text);
      }
      return values_.set(path, std::move(made));
    }
    if (key.type == Type::argv) {
      return add(node.at, fmt::format("{} is a list of words, not {}", path, node.kind_name()),
                 "codops runs no shell: write [\"npm\", \"run\", \"seed\"]");
    }
    if (const auto text = word(key, node, path)) {
      values_.set(path, {{*text}, takes_list(key.type), origin_of(node.at)});
    }
  }

  std::optional<std::string> word(const Key& key, const text::Node& node, const std::string& path) {
    if (!node.is_scalar()) {
      add(node.at, fmt::format("{} takes {}, not {}", path, takes_list(key.type) ? "words" : "one value",
                               node.kind_name()));
      return std::nullopt;
    }
    auto text = key.type == Type::boolean ? lower(node.text) : node.text;
    if (is_open(text)) return text;
    if (const auto wrong = check_value(key, text); !wrong.empty()) {
      std::vector<std::string> choices{key.choices.begin(), key.choices.end()};
      add(node.at, fmt::format("{} {}", path, wrong), choices.empty() ? std::string{} : suggestion(text, choices));
      return std::nullopt;
    }
    return text;
  }

  void add(const text::Position& at, std::string message, std::string hint = {}) {
    problems_.push_back({origin_of(at), std::move(message), std::move(hint)});
  }

  const std::vector<std::string>& also_;
  std::vector<Problem>& problems_;
  Values values_;
};

// For the layers in which every value is one text.
void set_text(Values& values, const Key& key, const std::string& path, const std::string& text, const Origin& origin,
              std::vector<Problem>& problems) {
  Value value{takes_list(key.type) ? split_words(text) : std::vector<std::string>{text}, takes_list(key.type), origin};
  for (auto& word : value.words) {
    if (key.type == Type::boolean) word = lower(word);
    if (is_open(word)) continue;
    if (const auto wrong = check_value(key, word); !wrong.empty()) {
      problems.push_back({origin, fmt::format("{} {}", path, wrong), {}});
      return;
    }
  }
  values.set(path, std::move(value));
}

}  // namespace

Values read_mapping(const text::Node& mapping, const std::vector<std::string>& also, std::vector<Problem>& problems) {
  return MappingReader{also, problems}.read(mapping);
}

Values read_variables(const std::map<std::string, std::string>& variables, std::vector<Problem>& problems,
                      std::vector<Problem>& warnings) {
  std::map<std::string, const Key*> known;
  for (const Key& key : schema()) {
    if (auto name = variable_of(key.path); !name.empty()) known.emplace(std::move(name), &key);
  }
  std::vector<std::string> names;
  for (const auto& [name, key] : known) names.push_back(name);
  Values values;
  for (auto at = variables.lower_bound("CODOPS_"); at != variables.end() && at->first.starts_with("CODOPS_"); ++at) {
    const Origin origin{Origin::Kind::variable, at->first, 0, 0};
    if (const auto found = known.find(at->first); found != known.end()) {
      if (!at->second.empty()) {
        set_text(values, *found->second, std::string{found->second->path}, at->second, origin, problems);
      }
    } else if (const auto near = nearest(at->first, names); !near.empty() && edit_distance(at->first, near) <= 2) {
      warnings.push_back({origin, "no setting has this variable", fmt::format("did you mean \"{}\"?", near)});
    }
  }
  return values;
}

Values read_flags(const std::vector<std::string>& set, std::vector<Problem>& problems) {
  Values values;
  for (const auto& assignment : set) {
    const Origin origin{Origin::Kind::flag, "--set", 0, 0};
    const auto equals = assignment.find('=');
    if (equals == std::string::npos) {
      problems.push_back({origin, fmt::format("\"{}\" has no value", io::shown_word(assignment)), "write --set key=value"});
      continue;
    }
    const auto path = assignment.substr(0, equals);
    if (const auto* key = find_key(path)) {
      set_text(values, *key, path, assignment.substr(equals + 1), origin, problems);
      continue;
    }
    std::vector<std::string> known;
    for (const Key& key : schema()) known.emplace_back(key.path);
    problems.push_back({origin, fmt::format("unknown key \"{}\"", io::shown_word(path)), suggestion(path, known)});
  }
  return values;
}

Values built_in() {
  Values values;
  for (const Key& key : schema()) {
    if (key.fallback.empty() || key.path.find('*') != std::string_view::npos ||
        key.path.find("[]") != std::string_view::npos) {
      continue;
    }
    const bool list = takes_list(key.type);
    values.set(std::string{key.path},
               {list ? split_words(key.fallback) : std::vector<std::string>{std::string{key.fallback}}, list, {}});
  }
  return values;
}

void fill_in(Values& values) {
  Values missing;
  for (const auto& [path, value] : values.all()) {
    const auto last_dot = path.rfind('.');
    if (last_dot == std::string::npos) continue;
    const auto pattern = pattern_of(path);
    const auto section = pattern.substr(0, pattern.rfind('.'));
    if (section.find('*') == std::string::npos && section.find("[]") == std::string::npos) continue;
    for (const Key& key : schema()) {
      const bool sibling = key.path.size() > section.size() + 1 && key.path.starts_with(section + ".") &&
                           key.path.find('.', section.size() + 1) == std::string_view::npos;
      if (!sibling || key.fallback.empty()) continue;
      const auto here = path.substr(0, last_dot) + std::string{key.path.substr(section.size())};
      if (!values.has(here)) missing.set(here, {{std::string{key.fallback}}, takes_list(key.type), {}});
    }
  }
  for (const auto& [path, value] : missing.all()) values.set(path, value);
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    auto word = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

Origin origin_of(const text::Position& at) {
  return {Origin::Kind::file, at.file ? *at.file : std::string{}, at.line, at.column};
}

}  // namespace codops::settings

#include "lib/settings/reference.hpp"

#include <fmt/format.h>

#include <array>

#include "lib/settings/layers.hpp"
#include "lib/settings/schema.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {
namespace {

constexpr std::size_t page_width = 100;

// Where keys exclude each other, the example shows them in entries of their own. A key that no entry names is in the
// first one.
struct Entry {
  std::string_view name;
  std::vector<std::string_view> keys;
  std::string_view type;  // of a notification
};

const std::vector<Entry>& entries_of(std::string_view section) {
  static const std::vector<Entry> checks{
      {"site", {}, {}},       {"smtp", {"tcp"}, {}},           {"certificate", {"tls"}, {}},
      {"database", {"postgres"}, {}}, {"cache", {"redis"}, {}},        {"app", {"container"}, {}},
      {"deployment", {"workload"}, {}}, {"disk", {"disk"}, {}},        {"backup", {"backup_age"}, {}},
      {"orders", {"command"}, {}}};
  static const std::vector<Entry> notify{
      {"", {}, {}}, {"", {"url"}, "webhook"}, {"", {"to", "from", "smtp"}, "email"}};
  static const std::vector<Entry> backend{{"backend", {}, {}}};
  static const std::vector<Entry> header{{"Accept", {}, {}}};
  static const std::vector<Entry> pointer{{"/status", {}, {}}};
  static const std::vector<Entry> item{{"", {}, {}}};
  if (section == "health.checks") return checks;
  if (section == "notify[]") return notify;
  if (section == "health.checks.*.headers") return header;
  if (section == "health.checks.*.json") return pointer;
  return section.ends_with("[]") ? item : backend;
}

std::string comment(std::string_view text, std::size_t indent) {
  std::string out, line;
  const auto end_line = [&] {
    out += fmt::format("{}# {}\n", std::string(indent, ' '), line);
    line.clear();
  };
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (!line.empty() && indent + 3 + line.size() + word.size() > page_width) end_line();
    if (!line.empty()) line += ' ';
    line += word;
  }
  end_line();
  return out;
}

bool needs_quotes(std::string_view word) {
  return word.empty() || word.find_first_of(":{}[],&*#?|<>=!%@`\"'") != std::string_view::npos || word.front() == '-';
}

std::string yaml_word(std::string_view word) { return needs_quotes(word) ? fmt::format("\"{}\"", word) : std::string{word}; }

std::string example_of(const Key& key) {
  if (key.type != Type::list && key.type != Type::argv && key.type != Type::integers) return yaml_word(key.example);
  std::string words;
  for (const auto& word : split_words(key.example)) words += (words.empty() ? "" : ", ") + yaml_word(word);
  return "[" + words + "]";
}

std::string help_of(const Key& key) {
  std::string text{key.help};
  if (!key.choices.empty()) {
    std::string choices;
    for (const auto choice : key.choices) choices += (choices.empty() ? "" : ", ") + std::string{choice};
    text += fmt::format(" One of {}.", choices);
  }
  if (!key.fallback.empty()) text += fmt::format(" Built in: {}.", key.fallback);
  if (const auto variable = variable_of(key.path); !variable.empty()) text += fmt::format(" {}", variable);
  return text;
}

class Reference {
 public:
  std::string run() {
    section("", 0, {});
    return std::move(out_);
  }

 private:
  // Keys of `entry` only, where the section has several.
  void section(const std::string& pattern, std::size_t indent, const Entry& entry) {
    for (const auto& child : children_of(pattern)) {
      const bool in_list = pattern.ends_with("[]");
      if (!belongs(pattern, child, entry)) continue;
      const auto path = pattern.empty() ? child : pattern + "." + child;
      if (indent == 0) out_ += "\n";
      if (const auto* key = key_at(path)) leaf(*key, child, indent, in_list && first_, entry);
      else if (child.ends_with("[]")) list(path, child.substr(0, child.size() - 2), indent);
      else names_or_section(path, child, indent);
      first_ = false;
    }
  }

  static const Key* key_at(const std::string& path) {
    for (const Key& key : schema()) {
      if (key.path == path) return &key;
    }
    return nullptr;
  }

  static bool belongs(const std::string& pattern, const std::string& child, const Entry& entry) {
    const auto parent = pattern.ends_with(".*") ? pattern.substr(0, pattern.size() - 2) : pattern;
    if (pattern != "health.checks.*" && pattern != "notify[]") return true;
    if (child == "type" && pattern == "notify[]") return true;
    bool elsewhere = false;
    for (const auto& other : entries_of(parent)) {
      const bool named = std::find(other.keys.begin(), other.keys.end(), child) != other.keys.end();
      if (named && other.keys == entry.keys) return true;
      elsewhere = elsewhere || named;
    }
    return entry.keys.empty() && !elsewhere;
  }

  void leaf(const Key& key, const std::string& name, std::size_t indent, bool begins_item, const Entry& entry) {
    const auto pad = std::string(indent, ' ');
    if (!repeated(key.path)) out_ += comment(help_of(key), begins_item ? indent - 2 : indent);
    const auto example = name == "type" && !entry.type.empty() ? std::string{entry.type} : example_of(key);
    if (begins_item) out_ += fmt::format("{}- {}: {}\n", std::string(indent - 2, ' '), name, example);
    else out_ += fmt::format("{}{}: {}\n", pad, name, example);
  }

  // A key that several entries show is explained once.
  bool repeated(std::string_view path) {
    const auto [at, fresh] = explained_.emplace(path);
    return !fresh;
  }

  void list(const std::string& path, const std::string& name, std::size_t indent) {
    heading(path.substr(0, path.size() - 2), indent);
    out_ += fmt::format("{}{}:\n", std::string(indent, ' '), name);
    for (const auto& entry : entries_of(path)) {
      first_ = true;
      section(path, indent + 4, entry);
    }
  }

  void names_or_section(const std::string& path, const std::string& name, std::size_t indent) {
    heading(path, indent);
    out_ += fmt::format("{}{}:\n", std::string(indent, ' '), name);
    const auto children = children_of(path);
    if (std::find(children.begin(), children.end(), "*") == children.end()) return section(path, indent + 2, {});
    for (const auto& entry : entries_of(path)) {
      const auto below = path + ".*";
      if (const auto* key = key_at(below)) {
        out_ += comment(help_of(*key), indent + 2);
        out_ += fmt::format("{}{}: {}\n", std::string(indent + 2, ' '), entry.name, example_of(*key));
      } else {
        out_ += fmt::format("{}{}:\n", std::string(indent + 2, ' '), entry.name);
        section(below, indent + 4, entry);
      }
    }
  }

  void heading(const std::string& path, std::size_t indent) {
    for (const auto& one : sections()) {
      if (one.path == path) out_ += comment(one.help, indent);
    }
  }

  std::string out_;
  std::set<std::string> explained_;
  bool first_{};
};

constexpr std::string_view introduction =
    R"(# Every setting of codops.yaml, with an example value. A reference, not a file to copy: with no
# codops.yaml at all, docker-compose.prod.yml (or k8s/), .env.ENVIRONMENT and prisma/migrations work.
#
# Lowest first: built in < found in the project < this file < its environments.ENV < codops.ENV.yaml <
# CODOPS_* variables < --set KEY=VALUE. `codops config show ENV --origin` says what holds and why.
#
# ${NAME} and ${NAME:-default} in a value are replaced as in a compose file. Keys that begin with
# x- are yours. Durations: 90s, 5m, 1h30m. Sizes: 64M, 2G. Never write a secret here: name the
# variable that has it.

# The project's name. Unset: the directory's.
name: shop
)";

constexpr std::string_view environments_example =
    R"(
# Environments, each with any of the settings above: its values go before those at the top. Listed
# here, they are the only ones (with those of codops.ENV.yaml files); otherwise production, staging,
# development and every ENV of a file .env.ENV are known.
environments:
  production:
    protected: true
  staging:
    host: "ssh://deploy@staging.example.com"
    project: shop-staging
    backup:
      retention:
        days: 2
  development:
    monitor: 0s
)";

}  // namespace

std::string reference_yaml() {
  return std::string{introduction} + Reference{}.run() + std::string{environments_example};
}

}  // namespace codops::settings

#include "lib/text/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <optional>
#include <sstream>

#include "lib/text/scalar.hpp"

namespace codops::text {
namespace {

constexpr std::string_view core_prefix = "tag:yaml.org,2002:";

// Builds nodes from the parser's events: yaml-cpp's own tree keeps neither key positions nor duplicates.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::shared_ptr<const std::string> file, const YamlLimits& limits)
      : file_{std::move(file)}, left_{limits.nodes}, scalar_keys_{limits.scalar_keys} {}

  std::vector<Node> take() { return std::move(documents_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    anchors_.clear();
    open_.clear();
    root_ = Node{};
    root_.at = position(mark);
  }
  void OnDocumentEnd() override { documents_.push_back(std::move(root_)); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.at = position(mark);
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw failure_at(position(mark), "an alias names a value that holds it");
    count(found->second.nodes, mark);
    auto copy = found->second.node;
    if (awaits_key()) copy.at = position(mark);
    place(std::move(copy), found->second.nodes);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.at = position(mark);
    node.text = value;
    node.kind = Node::Kind::string;
    if (tag == "?") {
      node.plain = true;
      resolve_plain(node);
    } else if (tag != "!") {
      apply_tag(node, tag);
    }
    add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::make_sequence(position(mark)), tag, anchor, mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::make_mapping(position(mark)), tag, anchor, mark);
  }
  void OnMapEnd() override {
    resolve_merge(open_.back());
    close();
  }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor{};
    std::size_t nodes{1};
    std::optional<Entry> key;   // a mapping's key that waits for its value
    std::vector<Node> merged;   // values of `<<`
  };
  struct Anchored {
    Node node;
    std::size_t nodes{};
  };

  Position position(const YAML::Mark& mark) const {
    if (mark.is_null()) return {file_, 0, 0};
    return {file_, mark.line + 1, mark.column + 1};
  }

  void count(std::size_t nodes, const YAML::Mark& mark) {
    if (nodes > left_) throw failure_at(position(mark), "the text holds too many values once its aliases are expanded");
    left_ -= nodes;
  }

  bool awaits_key() const { return !open_.empty() && open_.back().node.is_mapping() && !open_.back().key; }

  static void apply_tag(Node& node, const std::string& tag) {
    std::string_view name = tag;
    if (!name.starts_with(core_prefix)) {
      node.tag = tag;
      return;
    }
    name.remove_prefix(core_prefix.size());
    if (name == "str" || name == "binary") return;
    auto typed = node;
    resolve_plain(typed);
    const bool fits = (name == "int" && typed.kind == Node::Kind::integer) ||
                      (name == "float" && (typed.kind == Node::Kind::real || typed.kind == Node::Kind::integer)) ||
                      (name == "bool" && typed.kind == Node::Kind::boolean) ||
                      (name == "null" && typed.kind == Node::Kind::null) ||
                      (name == "timestamp" && typed.kind == Node::Kind::timestamp);
    if (!fits) throw failure_at(node.at, fmt::format("\"{}\" is not what its tag !!{} says", node.text, name));
    if (name == "float" && typed.kind == Node::Kind::integer) {
      typed.kind = Node::Kind::real;
      typed.real = static_cast<double>(typed.magnitude) * (typed.negative ? -1 : 1);
    }
    node = std::move(typed);
  }

  void open(Node node, const std::string& tag, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (awaits_key()) throw failure_at(node.at, fmt::format("a key is {}; keys are text", node.kind_name()));
    count(1, mark);
    if (!tag.empty() && tag != "?" && tag != "!" && !tag.starts_with(core_prefix)) node.tag = tag;
    open_.push_back({std::move(node), anchor, 1, std::nullopt, {}});
  }

  void close() {
    auto done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor) anchors_[done.anchor] = {done.node, done.nodes};
    place(std::move(done.node), done.nodes);
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (left_ == 0) throw failure_at(node.at, "the text holds too many values once its aliases are expanded");
    --left_;
    if (anchor) anchors_[anchor] = {node, 1};
    place(std::move(node), 1);
  }

  void place(Node node, std::size_t nodes) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& parent = open_.back();
    parent.nodes += nodes;
    if (parent.node.is_sequence()) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      begin_entry(parent, std::move(node));
    } else {
      auto entry = *std::exchange(parent.key, std::nullopt);
      if (entry.key == "<<" && entry.value.plain) {
        parent.merged.push_back(std::move(node));
      } else {
        entry.value = std::move(node);
        parent.node.entries.push_back(std::move(entry));
      }
    }
  }

  void begin_entry(Open& parent, Node key) const {
    // An alias may stand for a key.
    if (scalar_keys_ && key.is_scalar() && key.kind != Node::Kind::string) {
      if (key.kind != Node::Kind::timestamp) key.text = typed_text(key);
      key.kind = Node::Kind::string;
    }
    const bool text = key.kind == Node::Kind::string;
    if (!text) {
      const auto shown = key.is_scalar() ? fmt::format("the key {}", key.text) : std::string{"a key"};
      throw failure_at(key.at, fmt::format("{} is {}; keys are text", shown, key.kind_name()),
                       key.is_scalar() ? fmt::format("write \"{}\" in quotes", key.text) : "");
    }
    if (const auto* first = parent.node.entry(key.text); first && key.text != "<<")
      throw failure_at(key.at,
                       fmt::format("the key \"{}\" is there already, in line {}", key.text, first->at.line));
    Entry entry;
    entry.key = key.text;
    entry.at = key.at;
    entry.value.plain = key.plain;
    parent.key = std::move(entry);
  }

  static void resolve_merge(Open& open) {
    for (auto& value : open.merged) {
      if (value.is_mapping()) {
        merge(open.node, value);
      } else if (value.is_sequence()) {
        for (auto& item : value.items) {
          if (!item.is_mapping()) throw failure_at(item.at, "<< takes mappings only");
          merge(open.node, item);
        }
      } else {
        throw failure_at(value.at, fmt::format("<< takes a mapping or a list of mappings, not {}", value.kind_name()));
      }
    }
  }

  static void merge(Node& into, Node& from) {
    for (auto& entry : from.entries) {
      if (!into.entry(entry.key)) into.entries.push_back(std::move(entry));
    }
  }

  std::shared_ptr<const std::string> file_;
  std::size_t left_;
  bool scalar_keys_;
  std::vector<Node> documents_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  Node root_;
};

}  // namespace

std::vector<Node> parse_yaml_documents(std::string_view text, std::string file, const YamlLimits& limits) {
  const auto name = std::make_shared<const std::string>(std::move(file));
  Builder builder{name, limits};
  try {
    // yaml-cpp takes a quoted text that the end of the file cuts off behind a line break for a whole one; a comment without one is the mark
    // that it misses.
    std::istringstream in{text.ends_with('\n') ? std::string{text} + '#' : std::string{text}};
    YAML::Parser parser{in};
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const Position at = error.mark.is_null() ? Position{name, 0, 0} : Position{name, error.mark.line + 1, error.mark.column + 1};
    throw failure_at(at, fmt::format("not valid YAML: {}", error.msg));
  }
  return builder.take();
}

Node parse_yaml(std::string_view text, std::string file, const YamlLimits& limits) {
  auto documents = parse_yaml_documents(text, std::move(file), limits);
  if (documents.empty()) return {};
  if (documents.size() > 1) throw failure_at(documents[1].at, "a second document begins here; one is expected");
  return std::move(documents.front());
}

}  // namespace codops::text

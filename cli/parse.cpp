#include "cli/parse.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "lib/base/failure.hpp"

namespace codops::cli {
namespace {

using commands::Declaration;
using commands::Parameter;
using commands::Verb;
using Words = std::vector<std::string>;

struct Bound {
  Parameter parameter;
  CLI::Option* option;
};

std::vector<std::string> split_words(std::string_view text) {
  Words words;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    words.emplace_back(text.substr(0, space));
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return words;
}

// One word or option of the command line in the tree. A node without a verb only has sub-verbs.
struct TreeNode {
  std::string path;
  CLI::App* app{};
  const Verb* verb{};
  std::unique_ptr<commands::Command> command;
  Declaration declaration;
  std::vector<Bound> bound;
};

class Parser {
 public:
  Parser(const std::vector<Verb>& verbs, const Words& arguments) : verbs_{verbs} {
    // CLI11's own reading of "--" differs between its versions; what follows it is never ours.
    const auto mark = std::find(arguments.begin(), arguments.end(), "--");
    arguments_.assign(arguments.begin(), mark);
    if (mark != arguments.end()) rest_.emplace(mark + 1, arguments.end());
    if (!arguments_.empty() && arguments_.front() == "help") {
      arguments_.erase(arguments_.begin());
      arguments_.emplace_back("--help");
    }
  }

  Invocation run() {
    refuse_empty_values();
    build();
    parse();
    return invocation();
  }

 private:
  // "--label= x": CLI11 would take x as the label.
  void refuse_empty_values() const {
    for (const auto& word : arguments_) {
      if (word.starts_with("--") && word.ends_with('=')) {
        throw Failure{Exit::usage, fmt::format("{} has no value", word.substr(0, word.size() - 1))};
      }
    }
  }

  void build() {
    root_.set_help_flag();
    root_.require_subcommand(0, 1);
    declare_globals(globals_, words_);
    bound_globals_ = bind(root_, globals_.parameters());
    for (const Verb& verb : verbs_) {
      CLI::App* app = &root_;
      std::string path;
      for (const auto& word : split_words(verb.name)) {
        path += path.empty() ? word : " " + word;
        app = node_for(*app, word, path).app;
      }
      nodes_.at(path).verb = &verb;
    }
    for (auto& [path, node] : nodes_) {
      if (node.verb == nullptr) continue;
      // Only the verbs on the way to the chosen one are made.
      node.app->preparse_callback([this, &node = node](std::size_t) {
        if (node.command) return;
        node.command = node.verb->make();
        node.command->declare(node.declaration);
        node.bound = bind(*node.app, node.declaration.parameters());
      });
    }
  }

  TreeNode& node_for(CLI::App& parent, const std::string& word, const std::string& path) {
    auto& node = nodes_[path];
    if (node.app == nullptr) {
      node.path = path;
      node.app = parent.add_subcommand(word);
      node.app->set_help_flag();
      node.app->fallthrough();
      node.app->require_subcommand(0, 1);
    }
    return node;
  }

  static std::vector<Bound> bind(CLI::App& app, const std::vector<Parameter>& parameters) {
    std::vector<Bound> bound;
    for (const auto& parameter : parameters) {
      if (parameter.kind == Parameter::Kind::rest) continue;
      if (parameter.kind == Parameter::Kind::flag) {
        bound.push_back({parameter, app.add_flag(parameter.names)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)});
        continue;
      }
      auto* option = app.add_option(parameter.names, CLI::callback_t{[](const CLI::results_t&) { return true; }});
      option->type_size(1)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      option->allow_extra_args(parameter.kind == Parameter::Kind::positionals);
      bound.push_back({parameter, option});
    }
    return bound;
  }

  void parse() {
    Words reversed{arguments_.rbegin(), arguments_.rend()};
    root_.allow_extras();
    try {
      root_.parse(reversed);
    } catch (const CLI::ArgumentMismatch& error) {
      missing_value(error);
    } catch (const CLI::Error& error) {
      throw Failure{Exit::usage, error.what(), help_hint()};
    }
  }

  // CLI11 tells the option only in its text: "--to: 1 required …".
  [[noreturn]] void missing_value(const CLI::Error& error) {
    const std::string text{error.what()};
    const auto name = text.substr(0, text.find(':'));
    for (const auto& parameter : all_parameters()) {
      if (parameter.names.find(name) != std::string::npos && parameter.takes_value()) {
        throw Failure{Exit::usage, fmt::format("{} needs a value: {}", parameter.long_name(), parameter.value), help_hint()};
      }
    }
    throw Failure{Exit::usage, text, help_hint()};
  }

  // The chosen verbs, outermost first.
  std::vector<TreeNode*> chosen() {
    std::vector<TreeNode*> way;
    CLI::App* app = &root_;
    while (!app->get_subcommands().empty()) {
      app = app->get_subcommands().front();
      for (auto& [path, node] : nodes_) {
        if (node.app == app) way.push_back(&node);
      }
    }
    return way;
  }

  Invocation invocation() {
    Invocation made;
    assign(bound_globals_);
    made.help = words_.help;
    made.version = words_.version;
    const auto way = chosen();
    const auto extras = root_.remaining(true);
    if (way.empty()) {
      if (!extras.empty()) unknown_at_top(extras);
      made.options = to_options(words_, {});
      return made;
    }
    TreeNode& node = *way.back();
    made.path = node.path;
    made.verb = node.verb;
    if (!made.help) {
      check_outer(way);
      if (!extras.empty()) unexpected(node, extras);
      if (node.verb == nullptr) needs_subverb(node);
      assign(node.bound);
      assign_rest(node);
      check_required(node);
    }
    made.options = to_options(words_, node.declaration.extra_formats());
    made.command = std::move(node.command);
    made.declaration = std::move(node.declaration);
    return made;
  }

  void assign(const std::vector<Bound>& bound) {
    for (const auto& [parameter, option] : bound) {
      if (option->count() == 0) continue;
      // A script's variable that is not set must not ask for something else than was meant.
      const auto& values = option->results();
      if (parameter.takes_value() && std::find(values.begin(), values.end(), "") != values.end()) {
        throw Failure{Exit::usage, fmt::format("{} is empty", parameter.is_positional() ? parameter.names : parameter.long_name()), "a variable that is not set? Give it a value, or leave it out"};
      }
      parameter.assign(values);
    }
  }

  void assign_rest(const TreeNode& node) {
    for (const auto& parameter : node.declaration.parameters()) {
      if (parameter.kind == Parameter::Kind::rest) {
        if (rest_) parameter.assign(*rest_);
        return;
      }
    }
    if (rest_) throw Failure{Exit::usage, fmt::format("{} takes nothing after \"--\"", node.path), help_hint()};
  }

  void check_required(const TreeNode& node) {
    for (const auto& [parameter, option] : node.bound) {
      if (parameter.required && option->count() == 0) {
        throw Failure{Exit::usage, fmt::format("{} needs {}", node.path, parameter.names), help_hint()};
      }
    }
  }

  // Arguments that were given to "backup" before its sub-verb "list" would be lost without a word.
  void check_outer(const std::vector<TreeNode*>& way) {
    for (std::size_t i = 0; i + 1 < way.size(); ++i) {
      for (const auto& [parameter, option] : way[i]->bound) {
        if (option->count() == 0) continue;
        const auto what = parameter.is_positional() ? option->results().front() : parameter.long_name();
        throw Failure{Exit::usage, fmt::format("\"{}\" does not belong to {}", what, way.back()->path), help_hint()};
      }
    }
  }

  [[noreturn]] void needs_subverb(const TreeNode& node) {
    std::vector<std::string> names;
    for (const Verb& verb : verbs_) {
      if (verb.name.starts_with(node.path + " ") && !verb.group.empty()) {
        names.emplace_back(verb.name.substr(node.path.size() + 1));
      }
    }
    throw Failure{Exit::usage, fmt::format("{} is followed by {}", node.path, fmt::join(names, ", ")), help_hint()};
  }

  [[noreturn]] void unknown_at_top(const Words& extras) {
    for (const auto& word : extras) {
      if (!word.starts_with('-')) {
        unknown_verb(word);
      }
    }
    unknown_option(extras.front());
  }

  [[noreturn]] void unknown_verb(const std::string& word) {
    std::vector<std::string> names;
    for (const auto& [path, node] : nodes_) {
      if (path.find(' ') == std::string::npos) names.push_back(path);
    }
    const auto near = nearest(word, names);
    throw Failure{Exit::usage, fmt::format("unknown command \"{}\"", word),
                  near.empty() ? "codops --help lists the commands" : fmt::format("did you mean \"codops {}\"?", near)};
  }

  [[noreturn]] void unexpected(const TreeNode& node, const Words& extras) {
    if (extras.front().starts_with('-')) unknown_option(extras.front());
    std::vector<std::string> subverbs;
    for (const auto& [path, other] : nodes_) {
      if (path.starts_with(node.path + " ")) subverbs.push_back(path.substr(node.path.size() + 1));
    }
    const auto near = nearest(extras.front(), subverbs);
    throw Failure{Exit::usage, fmt::format("unexpected \"{}\" after {}", extras.front(), node.path),
                  near.empty() ? help_hint() : fmt::format("did you mean \"codops {} {}\"?", node.path, near)};
  }

  [[noreturn]] void unknown_option(const std::string& word) {
    const auto name = word.substr(0, word.find('='));
    std::vector<std::string> known;
    bool takes_rest = false;
    for (const auto& parameter : all_parameters()) {
      takes_rest = takes_rest || parameter.kind == Parameter::Kind::rest;
      if (!parameter.names.starts_with('-')) continue;
      known.push_back(parameter.long_name());
    }
    if (std::find(known.begin(), known.end(), name) != known.end()) {
      throw Failure{Exit::usage, fmt::format("{} is no option of codops itself, and comes before the command", name), fmt::format("behind it: codops COMMAND … {}", name)};
    }
    auto hint = nearest(name, known);
    if (name.size() <= 2) hint.clear();
    hint = hint.empty() ? help_hint() : fmt::format("did you mean {}?", hint);
    if (takes_rest && !rest_) hint = "options of the command itself go after \"--\"";
    throw Failure{Exit::usage, fmt::format("unknown option {}", name), hint};
  }

  std::vector<Parameter> all_parameters() {
    std::vector<Parameter> all;
    for (const auto* node : chosen()) {
      const auto& own = node->declaration.parameters();
      all.insert(all.end(), own.begin(), own.end());
    }
    all.insert(all.end(), globals_.parameters().begin(), globals_.parameters().end());
    return all;
  }

  std::string help_hint() {
    const auto way = chosen();
    return way.empty() ? "codops --help" : fmt::format("codops {} --help", way.back()->path);
  }

  const std::vector<Verb>& verbs_;
  Words arguments_;
  std::optional<Words> rest_;
  CLI::App root_;
  GlobalWords words_;
  Declaration globals_;
  std::vector<Bound> bound_globals_;
  std::map<std::string, TreeNode> nodes_;
};

}  // namespace

Invocation parse(const Words& arguments, const std::vector<Verb>& verbs) { return Parser{verbs, arguments}.run(); }

}  // namespace codops::cli

#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/declare_globals.hpp"

namespace codops::cli {
namespace {

using commands::Declaration;
using commands::Parameter;
using commands::Verb;

constexpr std::size_t page_width = 100;
constexpr std::size_t longest_left = 34;

struct Row {
  std::string left, right;
};

// Breaks at spaces; lines after the first begin with `indent` spaces.
std::string wrapped(std::string_view text, std::size_t first_column, std::size_t indent) {
  std::string out;
  std::size_t column = first_column;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (column + word.size() > page_width && column > indent) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > first_column || !out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string table(const std::vector<Row>& rows) {
  std::size_t width = 0;
  for (const auto& row : rows) {
    if (row.left.size() <= longest_left) width = std::max(width, row.left.size());
  }
  std::string out;
  const std::size_t indent = 2 + width + 2;
  for (const auto& row : rows) {
    out += "  " + row.left;
    if (row.left.size() > width) out += '\n' + std::string(indent, ' ');
    else out += std::string(width - row.left.size() + 2, ' ');
    out += wrapped(row.right, indent, indent) + '\n';
  }
  return out;
}

std::string left_of(const Parameter& parameter) {
  if (!parameter.names.starts_with('-')) return parameter.names;
  std::string names;
  for (const char c : parameter.names) names += c == ',' ? std::string{", "} : std::string{c};
  // Long names stand below each other whether or not there is a short one.
  if (names.starts_with("--")) names = "    " + names;
  return parameter.takes_value() ? names + " " + parameter.value : names;
}

std::string usage_of(const Verb& verb, const Declaration& declaration) {
  auto line = fmt::format("codops {}", verb.name);
  bool options = false;
  for (const auto& parameter : declaration.parameters()) {
    if (parameter.is_positional()) {
      const auto many = parameter.kind == Parameter::Kind::positionals ? "…" : "";
      line += parameter.required ? fmt::format(" {}{}", parameter.names, many)
                                 : fmt::format(" [{}{}]", parameter.names, many);
    } else {
      options = options || parameter.kind != Parameter::Kind::rest;
    }
  }
  if (options) line += " [options]";
  for (const auto& parameter : declaration.parameters()) {
    if (parameter.kind == Parameter::Kind::rest) line += fmt::format(" -- {}", parameter.names);
  }
  return line;
}

std::string global_options() {
  GlobalWords words;
  Declaration declaration;
  declare_globals(declaration, words);
  std::vector<Row> rows;
  for (const auto& parameter : declaration.parameters()) rows.push_back({left_of(parameter), parameter.help});
  return "Options of every command, before or after it\n" + table(rows);
}

std::vector<Row> subverbs_of(const std::string& path, const std::vector<Verb>& verbs) {
  std::vector<Row> rows;
  for (const Verb& verb : verbs) {
    if (verb.name.starts_with(path + " ") && !verb.group.empty()) {
      rows.push_back({fmt::format("codops {}", verb.name), std::string{verb.summary}});
    }
  }
  return rows;
}

std::string help_for_verb(const Verb& verb, const std::vector<Verb>& verbs) {
  const auto command = verb.make();
  Declaration declaration;
  command->declare(declaration);
  std::string out = fmt::format("{}\n\nUsage\n  {}\n", verb.summary, usage_of(verb, declaration));
  std::vector<Row> examples, positionals, options;
  for (const auto& example : verb.examples) {
    examples.push_back({fmt::format("codops {}", example.command), std::string{example.meaning}});
  }
  for (const auto& parameter : declaration.parameters()) {
    const bool named = parameter.names.starts_with('-');
    (named ? options : positionals).push_back({left_of(parameter), parameter.help});
  }
  if (!declaration.extra_formats().empty()) {
    options.push_back({"-o, --output FORMAT", fmt::format("beside text and json: {}",
                                                          [&] {
                                                            std::string names;
                                                            for (const auto& name : declaration.extra_formats()) {
                                                              names += names.empty() ? name : ", " + name;
                                                            }
                                                            return names;
                                                          }())});
  }
  // An example is a line to copy: it may be wider than the other tables' first column.
  if (!examples.empty()) {
    out += "\nExamples\n";
    std::size_t width = 0;
    for (const auto& row : examples) width = std::max(width, row.left.size());
    for (const auto& row : examples) {
      if (width + 4 + row.right.size() <= page_width) out += fmt::format("  {:<{}}  {}\n", row.left, width, row.right);
      else out += fmt::format("  {}\n      {}\n", row.left, wrapped(row.right, 6, 6));
    }
  }
  if (!positionals.empty()) out += "\nArguments\n" + table(positionals);
  if (!options.empty()) out += "\nOptions\n" + table(options);
  std::vector<Row> variables;
  for (const auto& variable : verb.variables) variables.push_back({std::string{variable.command}, std::string{variable.meaning}});
  if (!variables.empty()) out += "\nEnvironment\n" + table(variables);
  if (const auto rows = subverbs_of(std::string{verb.name}, verbs); !rows.empty()) out += "\nMore\n" + table(rows);
  return out + "\n" + global_options();
}

}  // namespace

std::string help_overview(const std::vector<Verb>& verbs) {
  std::string out =
      "codops deploys an application and looks after it: on a Docker host, a Swarm or Kubernetes.\n\n"
      "  codops deploy production v1.2.0    puts a version into production without a failed request\n"
      "  codops rollback production         goes back to the release before\n";
  std::vector<std::string_view> groups;
  for (const Verb& verb : verbs) {
    if (!verb.group.empty() && std::find(groups.begin(), groups.end(), verb.group) == groups.end()) {
      groups.push_back(verb.group);
    }
  }
  for (const auto group : groups) {
    std::vector<Row> rows;
    for (const Verb& verb : verbs) {
      if (verb.group == group) rows.push_back({std::string{verb.name}, std::string{verb.summary}});
    }
    out += fmt::format("\n{}\n{}", group, table(rows));
  }
  out += "\n" + global_options();
  return out + "\n`codops COMMAND --help` has its options and examples.\n";
}

std::string help_for(const std::string& path, const std::vector<Verb>& verbs) {
  for (const Verb& verb : verbs) {
    if (verb.name == path) return help_for_verb(verb, verbs);
  }
  std::string out = fmt::format("Usage\n  codops {} COMMAND\n\n", path);
  return out + table(subverbs_of(path, verbs)) + "\n" + global_options();
}

}  // namespace codops::cli

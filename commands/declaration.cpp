#include "commands/declaration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "lib/base/units.hpp"

namespace codops::commands {
namespace {

using Words = std::vector<std::string>;

std::int64_t to_number(const std::string& name, const std::string& word) {
  std::int64_t value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) {
    throw Failure{Exit::usage, fmt::format("{} takes a number, not \"{}\"", name, word)};
  }
  return value;
}

Milliseconds to_duration(const std::string& name, const std::string& word) {
  const auto value = parse_duration(word);
  if (!value) {
    throw Failure{Exit::usage, fmt::format("{} takes a duration, not \"{}\"", name, word),
                  "a duration is written 90s, 5m or 1h30m"};
  }
  return std::chrono::duration_cast<Milliseconds>(*value);
}

}  // namespace

std::string Parameter::long_name() const {
  const auto comma = names.rfind(',');
  return comma == std::string::npos ? names : names.substr(comma + 1);
}

void Declaration::positional(std::string_view name, std::string& into, std::string_view help, bool required) {
  parameters_.push_back({Parameter::Kind::positional, std::string{name}, std::string{name}, std::string{help}, required,
                         {}, [&into](const Words& words) { into = words.back(); }});
}

void Declaration::positionals(std::string_view name, std::vector<std::string>& into, std::string_view help,
                              bool required) {
  parameters_.push_back({Parameter::Kind::positionals, std::string{name}, std::string{name}, std::string{help},
                         required, {}, [&into](const Words& words) { into = words; }});
}

void Declaration::option(std::string_view names, std::string_view value, std::optional<std::string>& into,
                         std::string_view help) {
  parameters_.push_back({Parameter::Kind::option, std::string{names}, std::string{value}, std::string{help}, false, {},
                         [&into](const Words& words) { into = words.back(); }});
}

void Declaration::options(std::string_view names, std::string_view value, std::vector<std::string>& into,
                          std::string_view help) {
  parameters_.push_back({Parameter::Kind::options, std::string{names}, std::string{value}, std::string{help}, false, {},
                         [&into](const Words& words) { into = words; }});
}

void Declaration::number(std::string_view names, std::string_view value, std::optional<std::int64_t>& into,
                         std::string_view help) {
  Parameter parameter{Parameter::Kind::number, std::string{names}, std::string{value}, std::string{help}, false, {}, {}};
  parameter.assign = [&into, name = parameter.long_name()](const Words& words) {
    into = to_number(name, words.back());
  };
  parameters_.push_back(std::move(parameter));
}

void Declaration::duration(std::string_view names, std::optional<Milliseconds>& into, std::string_view help) {
  Parameter parameter{Parameter::Kind::duration, std::string{names}, "TIME", std::string{help}, false, {}, {}};
  parameter.assign = [&into, name = parameter.long_name()](const Words& words) {
    into = to_duration(name, words.back());
  };
  parameters_.push_back(std::move(parameter));
}

void Declaration::choice(std::string_view names, std::vector<std::string> choices, std::optional<std::string>& into,
                         std::string_view help) {
  Parameter parameter{Parameter::Kind::choice, std::string{names}, fmt::format("{}", fmt::join(choices, "|")),
                      std::string{help}, false, choices, {}};
  parameter.assign = [&into, name = parameter.long_name(), choices = std::move(choices)](const Words& words) {
    check_choice(name, words.back(), choices);
    into = words.back();
  };
  parameters_.push_back(std::move(parameter));
}

void Declaration::flag(std::string_view names, bool& into, std::string_view help) {
  parameters_.push_back({Parameter::Kind::flag, std::string{names}, {}, std::string{help}, false, {},
                         [&into](const Words& words) { into = words.back() != "false"; }});
}

void Declaration::count(std::string_view names, int& into, std::string_view help) {
  parameters_.push_back({Parameter::Kind::flag, std::string{names}, {}, std::string{help}, false, {},
                         [&into](const Words& words) { into = static_cast<int>(words.size()); }});
}

void Declaration::formats(std::vector<std::string> names) { formats_ = std::move(names); }

void Declaration::rest(std::string_view name, std::vector<std::string>& into, std::string_view help) {
  parameters_.push_back({Parameter::Kind::rest, std::string{name}, std::string{name}, std::string{help}, false, {},
                         [&into](const Words& words) { into = words; }});
}

void check_choice(std::string_view what, const std::string& word, const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), word) != choices.end()) return;
  const auto near = nearest(word, choices);
  throw Failure{Exit::usage, fmt::format("{} is one of {}, not \"{}\"", what, fmt::join(choices, ", "), word),
                near.empty() ? std::string{} : fmt::format("did you mean \"{}\"?", near)};
}

}  // namespace codops::commands

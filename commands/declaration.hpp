#pragma once
// What a verb declared, as data: the parser, the help and the completions are made from the same list.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "commands/command.hpp"

namespace codops::commands {

struct Parameter {
  enum class Kind { positional, positionals, option, options, number, duration, choice, flag, rest };
  Kind kind{};
  std::string names;  // "ENV" of a positional, else "--to" or "-n,--tail"
  std::string value;  // what the help shows for the value; empty for flags
  std::string help;
  bool required{};
  std::vector<std::string> choices;
  // Puts the words into the verb's own field; throws Failure{usage} when they don't fit.
  std::function<void(const std::vector<std::string>& words)> assign;

  bool is_positional() const { return kind == Kind::positional || kind == Kind::positionals; }
  bool takes_value() const { return kind != Kind::flag; }
  // "--tail" of "-n,--tail".
  std::string long_name() const;
};

class Declaration final : public Parameters {
 public:
  void positional(std::string_view name, std::string& into, std::string_view help, bool required) override;
  void positionals(std::string_view name, std::vector<std::string>& into, std::string_view help,
                   bool required) override;
  void option(std::string_view names, std::string_view value, std::optional<std::string>& into,
              std::string_view help) override;
  void options(std::string_view names, std::string_view value, std::vector<std::string>& into,
               std::string_view help) override;
  void number(std::string_view names, std::string_view value, std::optional<std::int64_t>& into,
              std::string_view help) override;
  void duration(std::string_view names, std::optional<Milliseconds>& into, std::string_view help) override;
  void choice(std::string_view names, std::vector<std::string> choices, std::optional<std::string>& into,
              std::string_view help) override;
  void flag(std::string_view names, bool& into, std::string_view help) override;
  void formats(std::vector<std::string> names) override;
  void rest(std::string_view name, std::vector<std::string>& into, std::string_view help) override;
  // Only for options of codops itself: counts its occurrences ("-vv").
  void count(std::string_view names, int& into, std::string_view help);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<std::string>& extra_formats() const { return formats_; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::string> formats_;
};

// One of `choices`, else Failure{usage} that names them all and the nearest.
void check_choice(std::string_view what, const std::string& word, const std::vector<std::string>& choices);

}  // namespace codops::commands

#pragma once
// The values that a release or an environment must not show, and text of others (logs, hooks, probes) without them.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace codops {

// Told by the name of a variable, in any case: DB_PASSWORD, stripe_key, SIGNING_SALT, PIN.
bool is_secret_variable(std::string_view name);

class KnownSecrets {
 public:
  // Shorter values can't be hidden: too much of any text is made of them, and what was left would not be worth reading.
  static constexpr std::size_t shortest = 4;
  // The same for one line of a value that has several.
  static constexpr std::size_t shortest_line = 8;

  // As it stands, as JSON or a shell would quote it, and, of several lines, each line too. The last line end does not count.
  void add(std::string_view value);
  // A variable's value: whole where its name or its form says so, else the passwords inside it (URLs, "password=x").
  void add_variable(std::string_view name, std::string_view value);
  // A secret's file: its value, and those that its lines give names to ("password: x").
  void add_file(std::string_view content);

  // "***" in place of every value, however they overlap, and of every URL's password.
  std::string hide(std::string_view text) const { return hide_from(text, 0); }
  // The same of the text from `begin` on, where a value may have begun before that.
  std::string hide_from(std::string_view text, std::size_t begin) const;
  std::size_t longest() const noexcept;

 private:
  void add_one(std::string_view value, std::size_t least);
  std::vector<std::string> values_;
};

// The end of a text that comes in pieces. Kept as it came, for a value may be cut by any two pieces; hidden when it is asked for.
class HiddenTail {
 public:
  explicit HiddenTail(std::size_t most) : most_{most} {}
  void add(std::string_view bytes);
  bool empty() const noexcept { return kept_.empty(); }
  // At most `most` bytes, beginning with a word, without line ends behind it.
  std::string text(const KnownSecrets& secrets) const;

 private:
  std::size_t most_;
  std::string kept_;
  bool cut_{false};
};

}  // namespace codops

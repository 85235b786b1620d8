#pragma once
// What a script that runs statement by statement has made of its session, kept with the progress, so that a later run can go on in
// the same one: a search_path that a function set decides where the next table is made.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/statement.hpp"

namespace codops::migrate {

class SessionMemory {
 public:
  // `notes`: Progress::notes of the attempt before; empty for the first.
  SessionMemory(std::string_view script, std::string_view notes);

  // Sets something for the session and does nothing else, so that it may be run again: SET, RESET, SELECT set_config('…', '…', false).
  static bool only_sets(const Parsed& parsed, std::string_view sql);
  // May the statement have set something by a function?
  bool may_change(const Parsed& parsed) const;

  // How many statements were done when the settings were last looked at.
  std::size_t known_at() const { return at_; }
  // The query that looks at them, and what it answered: true when they differ from those that are known. lock_timeout and statement_timeout are
  // codops' own.
  std::string looking() const;
  bool saw(const io::postgres::Rows& rows, std::size_t done);
  void restore(io::postgres::Connection& connection, const Limits& limits) const;

  // The indexes of a table before one without a name is built on it.
  const std::optional<std::vector<std::string>>& indexes() const { return indexes_; }
  void indexes(std::optional<std::vector<std::string>> names) { indexes_ = std::move(names); }

  std::string notes() const;

 private:
  std::vector<std::string> custom_;  // settings with a '.' in their name, as far as the script names them: no catalog lists those
  bool calls_set_config_{false};
  std::string settings_;  // a JSON object; empty: never looked at
  std::size_t at_{};
  std::optional<std::vector<std::string>> indexes_;
};

}  // namespace codops::migrate

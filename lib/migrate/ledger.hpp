#pragma once
// Files against history: what is applied, pending, failed, edited, missing, out of order. Pure.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/failure.hpp"
#include "lib/migrate/history.hpp"

namespace codops::migrate {

enum class State { applied, pending, unfinished, failed, edited, missing };
std::string_view name_of(State state);

struct Item {
  State state{State::pending};
  std::string key, name;
  std::size_t index{};        // into Source::migrations; meaningless when missing
  bool out_of_order{false};   // pending, with a later one applied
  bool rolled_back{false};    // pending, and an earlier attempt was rolled back
  bool taking_back{false};    // unfinished: its down script stopped between statements
  std::optional<Entry> entry; // the row that decided
};

struct Ledger {
  Layout layout{Layout::prisma};
  bool has_history{false};
  std::vector<Item> items;  // in running order; missing ones at the end

  std::size_t count(State state) const;
  bool any_out_of_order() const;
  // What the status verb answers: 1 failed or unfinished, 65 edited or missing, 2 pending or out of order, else 0.
  Exit exit() const;
};

// `check_files` also compares checksums (reading verbs do, applying does not, as Prisma). `progress_of` is the history's.
Ledger evaluate(const Source& source, const std::vector<Entry>& entries, const History* history, bool check_files);

}  // namespace codops::migrate

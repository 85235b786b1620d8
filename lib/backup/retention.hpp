#pragma once
// Which backups are kept: a pure decision.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::backup {

struct Policy {
  std::optional<std::int64_t> count;  // the newest N
  std::int64_t days{7};
  std::int64_t keep_min{1};           // never fewer than the newest N
  std::int64_t daily{}, weekly{}, monthly{}, yearly{};  // the newest of each of the last N that have any (UTC)
};

// untrusted: this reader can't vouch for it (another key, no signature), which says nothing about what it holds.
// safety: of what a restore replaced.
enum class Standing { verified, damaged, untrusted, safety };

struct Candidate {
  std::string label;
  WallTime time;   // when its snapshot was taken, by the clock of then
  Standing standing{Standing::verified};  // damaged: a later verification or drill found it so
  bool pinned{};
};

struct Verdict {
  std::string label;
  bool keep{};
  std::vector<std::string> reasons;  // why it is kept; or the one reason why it is not
};

// `candidates` in the order in which they were taken, oldest first: that order, not the clock, decides what is newer.
// - Only verified ones count for count, keep_min and the calendar; a damaged one is kept while pinned, by days, or while no
//   verified one is newer.
// - An untrusted one is kept by the same rules as a verified one, yet takes no verified one's place: whoever can write into the
//   store pushes nothing out, and a new key drops nothing. The same for a safety one, which holds what somebody wanted to be rid of.
// - While any is dated in the future the clock says nothing: where days or the calendar decide, nothing is dropped. But once more
//   verified ones than are dated so have followed them, in order and at most `days` (else a month) apart up to now, their stamps were
//   wrong and not the clock: they are taken to be as old as the next one by sequence.
// - A gap between two that follow each other (or the last and now) that is longer than `days` and than three times every gap before it
//   may be a clock that leapt ahead: for what is older than the leap, days count from the first one after it.
// - A policy without any rule keeps everything.
std::vector<Verdict> decide(const Policy& policy, const std::vector<Candidate>& candidates, WallTime now);

}  // namespace codops::backup

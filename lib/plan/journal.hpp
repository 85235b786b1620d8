#pragma once
// The journal of a run: one new, checksummed file per entry in the target's state, never overwritten, written before
// each mutating step. Format (version 1), one line of JSON a file at "meta/journal/RUN/NNNNNN.json":
//   {"format":1,"seq":N,"prev":N,"at":RFC3339,"event":E,"step":NAME,"text":…,"plan":{…},"sum":SHA-256 of the line without sum}
// prev: the entry before it that was surely written, so that one that is gone is missed; a number may be left out when a write failed.
// E: planned (with the plan), doing, undoing, undone, failed, ended; done of hooks alone, which are no steps of the plan: post_deploy before
// the end, on_failure after it. RUN: time of its start on the engine's clock and the
// token, so that runs sort by age.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/plan/plan.hpp"
#include "lib/target/state.hpp"

namespace codops::plan {

inline constexpr std::string_view journal_folder = "meta/journal/";
// Hooks that have their place in the journal without being steps.
inline constexpr const char* post_deploy = "post_deploy";
inline constexpr const char* on_failure = "on_failure";

struct Entry {
  int seq{};
  WallTime at{};
  std::string event;
  std::string step;
  std::string text;
  std::string plan;  // JSON, of event "planned" only
  int prev{};        // 0: none, or not known
};

// What a reader finds of one run.
struct Record {
  std::string run;
  std::vector<Entry> entries;  // by seq
  std::vector<std::string> damaged;  // paths of entries that are torn, altered, of an unknown format, or gone

  bool ended() const;
  // The plan of the "planned" entry; nullopt when that entry is missing or damaged.
  std::optional<Plan> plan() const;
  // Index into plan.steps of the last step that was begun ("doing"); nullopt: none.
  std::optional<std::size_t> last_begun(const Plan& plan) const;
  // The same where entries are damaged: each may be the one that says that a further step was begun.
  std::optional<std::size_t> last_maybe_begun(const Plan& plan) const;
  // Whether damage may hide that a step was begun. What is left of the run's own failed writes hides nothing: an entry that came through
  // later names the one before it that was written, and the numbers between the two are those that failed.
  bool doubtful() const;
  // Steps whose undo was written as done.
  bool was_undone(const std::string& step) const;
  // The hooks ("post_deploy", "on_failure") that were begun and of whose end there is no word; empty: none.
  std::string open_hooks() const;

 private:
  bool failed_to_write(const std::string& path) const;
};

std::string encode(const Entry& entry);
// nullopt: torn or altered. Throws Failure{data} for a format newer than this codops.
std::optional<Entry> decode(const std::string& text);

// Every run in the state's journal folder, oldest first.
std::vector<Record> records_of(const std::vector<target::StateStore::File>& files);

class Journal {
 public:
  // Puts files into the target's state, or throws; Failure{locked} when the run no longer holds its lock.
  using Write = std::function<void(const std::vector<target::StateStore::File>&, const Limits&)>;

  // Writes below journal_folder/RUN. `now` is asked for the time of each entry (the engine's clock).
  Journal(Write write, std::string run, std::function<WallTime()> now, int next_seq = 1, int last_written = 0);

  void write(std::string event, std::string step, std::string text, const Limits& limits, std::string plan = {});
  // The encoded entry and its path, for a caller that writes it together with other files, and ends when it can't.
  target::StateStore::File entry_file(std::string event, std::string step, std::string text, std::string plan = {});
  const std::string& run() const noexcept { return run_; }

 private:
  Write write_;
  std::string run_;
  std::function<WallTime()> now_;
  int next_seq_;
  int last_written_;
};

}  // namespace codops::plan

#pragma once
// A test hook, compiled in so that the binary that is tested is the one that ships. It does nothing unless a variable names a
// point of a run:
//   CODOPS_TEST_KILL=POINT[:SIGNAL]   the process raises SIGNAL (KILL, TERM, INT, STOP; default KILL) on itself there
//   CODOPS_TEST_FAIL=POINT            a Failure is thrown there
// Points: before:STEP (its journal entry is written, nothing is done), after:STEP (done, nothing further is journalled),
// undo:STEP (its undo is about to begin), and of the transaction around the steps after:lock, after:plan, before:record,
// after:record, in:prune (containers are gone, their releases are not yet), after:prune; in:files (the proxy has its files, and nothing was
// reloaded), in:folders (unused folders of files are listed, none is removed). `codops … --dry-run -o json` lists the steps.
#include <string>
#include <string_view>

namespace codops::plan {

class Faults {
 public:
  Faults();  // reads the two variables
  void at(std::string_view when, std::string_view step) const;

 private:
  std::string kill_point_, fail_point_;
  int signal_;
};

}  // namespace codops::plan

#pragma once
// Whoever reads a backup says so beside it, in the store, so that no prune and no rm takes it away meanwhile.
#include <optional>
#include <string>

#include "lib/backup/catalogue.hpp"

namespace codops::backup {

class Reading {
 public:
  // Where nothing may be written nothing is said: such a reader may lose what it reads. Failure{data}: the backup went just now.
  Reading(Catalogue& catalogue, const std::string& label, const Limits& limits);
  ~Reading();
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

 private:
  Catalogue& catalogue_;
  std::string object_;  // empty: it could not be written
};

// Of the name of an object beside a manifest.
bool is_reading(std::string_view part);
// Whether the reader of that text may still be at it. One of this machine is known to be gone; any is, two days after it began.
bool is_at_work(const std::string& text, WallTime now);

}  // namespace codops::backup

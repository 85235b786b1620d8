#pragma once
// What is written into a lock, so that whoever meets it knows whose it is.
#include <string>

#include "lib/store/process_identity.hpp"
#include "lib/store/store.hpp"

namespace codops::store {

struct LockText {
  LockHolder holder;
  ProcessIdentity process;
  std::string token;                // of one holding; two of one process differ
  std::optional<WallTime> renewed;

  bool holder_is_gone() const { return is_gone(process); }
};
LockText new_lock_text(WallTime now);  // of this process
std::string to_json(const LockText& text);
LockText parse_lock_text(const std::string& json);  // what is none has no host

}  // namespace codops::store

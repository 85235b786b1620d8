#pragma once
// node_modules while it is installed anew: the one that is there is put aside by a rename, and comes back unless the install ends well.
#include <filesystem>

#include "lib/scaffold/dev/packages.hpp"

namespace codops::scaffold::dev {

class KeptModules {
 public:
  // `folder`: .codops/dev. Moves nothing yet.
  KeptModules(const std::filesystem::path& folder, const std::filesystem::path& project, const Package& package);

  // Is one aside, by a run that was killed?
  bool is_aside() const;
  // After a run that was killed: back in place, unless what is there by now is whole.
  void recover(bool present_is_whole);
  // False: there is none, or it can't be moved (a mount of its own): the install works on it where it is. Throws Failure{failed}.
  bool put_aside();
  // The install failed: what it left goes, what was there comes back. True: it did. Throws Failure{failed} with the place where it is.
  bool put_back();
  // The install ended well. The one rename decides; removing may be cut short and is ended by a later run.
  void let_go() noexcept;

 private:
  std::filesystem::path modules_, folder_, kept_, gone_;

  void discard(const std::filesystem::path& what);
  void sweep() const noexcept;
};

}  // namespace codops::scaffold::dev

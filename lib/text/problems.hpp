#pragma once
// What is wrong with a configuration, collected so that one run shows all of it.
#include <string>
#include <string_view>
#include <vector>

#include "lib/text/node.hpp"

namespace codops::text {

class Problems {
 public:
  void add(const Position& at, std::string_view message, std::string hint = {});
  // Takes over a failure that ended one branch of the work; bugs, deadlines and cancellation are thrown on.
  void add(const Failure& failure);
  // An unknown key, with the nearest of `known` as the hint.
  template <typename Range>
  void unknown_key(const Position& at, std::string_view key, std::string_view where, const Range& known) {
    add_unknown(at, key, where, nearest(key, known));
  }

  bool empty() const noexcept { return failures_.empty(); }
  std::size_t size() const noexcept { return failures_.size(); }
  const std::vector<Failure>& all() const noexcept { return failures_; }

  // One Failure{config} of every message, a line each, with its hint in parentheses if there are several; nothing if
  // empty.
  void throw_if_any() const;

 private:
  void add_unknown(const Position& at, std::string_view key, std::string_view where, const std::string& near);
  std::vector<Failure> failures_;
};

}  // namespace codops::text

#pragma once
// .dockerignore: one pattern a line, "!" takes back, the last that matches wins; "**" spans folders, "*" and "?" don't.
#include <string>
#include <vector>

namespace codops::ops {

class IgnoreFile {
 public:
  explicit IgnoreFile(const std::string& text);
  // `path` relative to the context, with "/". A pattern that matches a folder covers what is below.
  bool excludes(const std::string& path) const;
  bool has_exceptions() const { return has_exceptions_; }

 private:
  struct Pattern {
    std::string text;
    bool exception{false};
  };
  std::vector<Pattern> patterns_;
  bool has_exceptions_{false};
};

}  // namespace codops::ops

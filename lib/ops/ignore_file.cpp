#include "lib/ops/ignore_file.hpp"

#include <sstream>
#include <string_view>

namespace codops::ops {
namespace {

bool matches(std::string_view pattern, std::string_view path) {
  if (pattern.empty()) return path.empty() || path.front() == '/';
  if (pattern.starts_with("**")) {
    auto rest = pattern.substr(2);
    if (rest.starts_with("/")) rest.remove_prefix(1);
    if (rest.empty()) return true;
    for (std::size_t at = 0; at <= path.size(); ++at) {
      if ((at == 0 || path[at - 1] == '/') && matches(rest, path.substr(at))) return true;
    }
    return false;
  }
  if (pattern.front() == '*') {
    for (std::size_t at = 0; at <= path.size(); ++at) {
      if (matches(pattern.substr(1), path.substr(at))) return true;
      if (at < path.size() && path[at] == '/') break;
    }
    return false;
  }
  if (path.empty()) return false;
  const bool same = pattern.front() == path.front() || (pattern.front() == '?' && path.front() != '/');
  return same && matches(pattern.substr(1), path.substr(1));
}

}  // namespace

IgnoreFile::IgnoreFile(const std::string& text) {
  std::istringstream lines{text};
  std::string line;
  while (std::getline(lines, line)) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    Pattern pattern;
    if (line.front() == '!') {
      pattern.exception = true;
      has_exceptions_ = true;
      line.erase(0, 1);
    }
    while (line.starts_with("./")) line.erase(0, 2);
    while (line.starts_with("/")) line.erase(0, 1);
    while (line.size() > 1 && line.back() == '/') line.pop_back();
    if (line.empty()) continue;
    pattern.text = std::move(line);
    patterns_.push_back(std::move(pattern));
  }
}

bool IgnoreFile::excludes(const std::string& path) const {
  bool excluded = false;
  for (const auto& pattern : patterns_) {
    if (matches(pattern.text, path)) excluded = !pattern.exception;
  }
  return excluded;
}

}  // namespace codops::ops

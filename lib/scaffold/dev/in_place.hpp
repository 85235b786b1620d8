#pragma once
// Writing over a file that has to stay the same file, because it has other names, labels or access lists: no rename can do that. What it
// was is on the disk beside it until the new bytes are, so that a run that dies in the middle costs nothing.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace codops::scaffold::dev {

// Of .codops/dev.
inline constexpr const char* unfinished_writes = "unfinished";

struct InPlace {
  std::filesystem::path project;
  std::string file;       // relative to the project: where the bytes are
  std::string before, after;
};
// All of it, or as it was: Failure{failed} says which. `records`: a folder of its own, made when it is needed.
void write_in_place(const InPlace& change, const std::filesystem::path& records);

// Files of which a run that died wrote a part. Reads only.
std::vector<std::string> half_written(const std::filesystem::path& project, const std::filesystem::path& records);
// Puts them back as they were; what is found in them goes to `copies` first. Nobody else may be writing. Returns what to tell.
std::vector<std::string> put_back(const std::filesystem::path& project, const std::filesystem::path& records, const std::filesystem::path& copies);

// Could a write from `before` to `after` have left `now`? Each byte is the one or the other, or was not written yet. Pure.
bool is_half_of(std::string_view now, std::string_view before, std::string_view after);

// A copy of what a file was, named by its path and content.
std::filesystem::path keep_copy(const std::filesystem::path& copies, std::string_view file, std::string_view content);

}  // namespace codops::scaffold::dev

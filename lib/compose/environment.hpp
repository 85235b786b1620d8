#pragma once
// The variables of a project: the caller's shell, `.env` or the files that replace it, and what a deploy adds.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/compose/load.hpp"
#include "lib/text/dotenv.hpp"
#include "lib/text/problems.hpp"

namespace codops::compose {

using Variables = std::map<std::string, std::string>;

struct ProjectEnvironment {
  Variables values;
  std::vector<std::string> files;       // that were read
  std::vector<std::string> overridden;  // names whose shell value a file replaced
};

ProjectEnvironment project_environment(const LoadOptions& options, const std::string& project_dir,
                                       std::vector<std::string>& warnings);

// `base` with what the files add; names that `base` has keep its value. Values may use both.
Variables with_env_files(const Variables& base, const std::vector<std::string>& files,
                         std::vector<std::string>& warnings);

text::Lookup lookup_in(const Variables& variables);

// Throws Failure{config} when it can't be read. At most 16 MiB.
std::string read_whole(const std::string& path, std::string_view what);

}  // namespace codops::compose

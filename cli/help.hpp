#pragma once
// Help texts, made from the command table and what a verb declared. No line is wider than 100 columns.
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "commands/declaration.hpp"

namespace codops::cli {

std::string help_overview(const std::vector<commands::Verb>& verbs);
// `path` is a verb, or a word that only has sub-verbs.
std::string help_for(const std::string& path, const std::vector<commands::Verb>& verbs);

}  // namespace codops::cli

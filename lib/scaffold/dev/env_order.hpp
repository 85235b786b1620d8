#pragma once
// Which .env file's value holds for a program that runs in a folder: the nearer folder's, and of one folder's files, as dotenv-flow, Next
// and the others have it, .env.development.local, .env.local, .env.development, .env. Pure.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/scaffold/dev/env_plan.hpp"

namespace codops::scaffold::dev {

// The files that count in `directory` ("" is the project), the one with the last word first.
std::vector<const EnvFile*> files_for(const std::vector<EnvFile>& files, const std::string& directory);

struct Named {
  std::string value, file;
};
// An empty value counts as none.
std::optional<Named> named_in(const std::vector<EnvFile>& files, std::string_view name, const std::string& directory);
// What is examined for the whole checkout: the project's own, else that of the first package that has one.
std::optional<Named> named_first(const std::vector<EnvFile>& files, std::string_view name);

}  // namespace codops::scaffold::dev

#pragma once
// What a command that is printed as the way back must say again, so that it goes where this one went.
#include <optional>
#include <string>

#include "commands/services.hpp"

namespace codops::commands {

// " -C shop --store /backups", quoted for a shell; empty when nothing of it was given.
std::string same_place(const GlobalOptions& given, const std::optional<std::string>& store, const std::optional<std::string>& url_variable);

}  // namespace codops::commands

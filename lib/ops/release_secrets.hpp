#pragma once
// Which values a release and its environment must not show: what hides them in logs, probes and hooks' words.
#include <functional>
#include <string>

#include "lib/base/known_secrets.hpp"
#include "lib/release/release_store.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

// Of the environment's files, the shell's variables that it takes over, and its notifications. What can't be read holds nothing back:
// the command itself has said so, or doesn't need it.
void add_secrets_of(const settings::Environment& environment, const std::map<std::string, std::string>& shell, KnownSecrets& secrets);

// Of its definitions' variables and its secrets' files, wherever those lie in the container. `content` of a file by its SHA-256.
void add_secrets_of(const release::Release& release, const release::Specs& specs, const std::function<std::string(const std::string&)>& content,
                    KnownSecrets& secrets);

}  // namespace codops::ops

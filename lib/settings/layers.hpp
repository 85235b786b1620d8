#pragma once
// One layer each: what a file, the environment's variables or --set say, checked against the schema. What is wrong goes
// to `problems` and is left out of the values.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/settings/settings.hpp"
#include "lib/text/node.hpp"

namespace codops::settings {

// A mapping of settings: the top of a file, or one of `environments`. `also` are keys that it may have and that the
// caller reads itself. Keys that begin with "x-" are nobody's (anchors).
Values read_mapping(const text::Node& mapping, const std::vector<std::string>& also, std::vector<Problem>& problems);

Values read_variables(const std::map<std::string, std::string>& variables, std::vector<Problem>& problems,
                      std::vector<Problem>& warnings);

Values read_flags(const std::vector<std::string>& set, std::vector<Problem>& problems);

bool is_there(const std::filesystem::path& path);  // false too where that can't be told

// The lowest layer of an environment: what the schema has built in, and what is found in the project.
Values built_in();
Values conventions(const std::filesystem::path& directory, std::string_view environment);
// compose_files where nobody set them: COMPOSE_FILE of the environment's files (else of .env), as docker compose has it; that of the shell
// where env_from_shell lists it.
void resolve_compose_files(Values& values, const std::filesystem::path& directory, const std::map<std::string, std::string>& shell);
// COMPOSE_FILE of the shell where docker compose would take other files for it than these values do; empty: the same, or somebody set them.
std::string compose_file_passed_over(const Values& values, const std::filesystem::path& directory, const std::map<std::string, std::string>& shell);
// engine: auto, as the files that are there decide it. A compose file wins over manifests.
void resolve_engine(Values& values, const std::filesystem::path& directory);
// What is built in for the keys of names and list items that are there: hooks.pre_deploy[0].timeout.
void fill_in(Values& values);

// "a, b" → {"a", "b"}.
std::vector<std::string> split_words(std::string_view text);

Origin origin_of(const text::Position& at);

}  // namespace codops::settings

#pragma once
// The one table of settings. Reading, checking, `config show`, the commented reference (config/codops.example.yaml)
// and the JSON schema are all made from it; a new setting is a row here, a field in its struct and a line in its reader.
#include <string>
#include <string_view>
#include <vector>

namespace codops::settings {

enum class Type { text, boolean, integer, port, duration, bytes, choice, list, integers, argv, secret };

// `list` takes one word or a list of them, `argv` only a list: a command is never split by codops.
// Paths are dotted. `*` stands for a name that the user gives ("readiness.*.path"), `[]` after a name for a list of
// maps ("hooks.pre_deploy[].run"). Every prefix of a path is a section.
struct Key {
  std::string_view path;
  Type type{Type::text};
  std::string_view fallback;  // the built-in value as one would write it; lists comma-separated; empty: none
  std::string_view example;   // what the reference shows; lists comma-separated
  std::string_view help;      // one or two sentences
  std::vector<std::string_view> choices{};  // of Type::choice
};

// A heading in the reference: what a section is for.
struct Section {
  std::string_view path;
  std::string_view help;
};

const std::vector<Key>& schema();
const std::vector<Section>& sections();

// The row for a concrete path ("readiness.backend.path", "hooks.pre_deploy[0].run"); null: no such key.
const Key* find_key(std::string_view path);
// The path as the table writes it: "readiness.*.path"; empty when neither a key nor a section fits.
std::string pattern_of(std::string_view path);
// Names that may stand below a section pattern ("proxy" → service, upstreams, …); "*" for a name the user gives.
std::vector<std::string> children_of(std::string_view section);

// "CODOPS_PROXY_SERVICE" of "proxy.service"; empty for keys below a name or in a list of maps, which have none.
std::string variable_of(std::string_view path);

// Whether `word` is a value of the key's type: empty, or what is wrong ("takes a duration, not "soon"").
std::string check_value(const Key& key, std::string_view word);

// Rows of the rooms that own their part of the settings.
std::vector<Key> project_keys();
std::vector<Key> backup_keys();
std::vector<Key> health_keys();
std::vector<Key> migrate_keys();
std::vector<Key> setup_dev_keys();

}  // namespace codops::settings

#pragma once
// Paths into objects as metadata.managedFields has them (structured-merge-diff): names, list items by key, by value or by index.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

struct FieldStep {
  enum class Kind { name, key, value, index };
  Kind kind{Kind::name};
  std::string text;  // name: itself; key: its JSON object; value, index: its JSON
};
using FieldPath = std::vector<FieldStep>;

// `.spec.ports[port=80,protocol="TCP"].targetPort`, as in a conflict's cause.
std::string path_text(const FieldPath& path);
// nullptr: the object has no such field.
const nlohmann::json* value_at(const nlohmann::json& object, const FieldPath& path);
// Every path of a fieldsV1 that has nothing below it.
std::vector<FieldPath> leaves_of(const nlohmann::json& fields);
// Puts every field of `from` into `into`; where both have a map the two are united.
void unite(nlohmann::json& into, const nlohmann::json& from);
// What `live` becomes when `manager` applies `desired` to it, as far as that can be told without the server: maps are united, lists are as
// `desired` has them, and what the manager owned and says no more goes. Nothing of a schema's defaults.
nlohmann::json merged(const nlohmann::json& live, const nlohmann::json& desired, const std::string& manager);

// Everything in `part` is in `whole` with the same value: what the server added by itself does not count.
bool is_within(const nlohmann::json& part, const nlohmann::json& whole);

// True for an env variable or key whose name says that its value is a secret.
bool names_secret(std::string_view name);
// The same for keys that people choose freely (data of a ConfigMap, annotations, labels), whatever they join their words with: "vault/token",
// "db.password".
bool key_names_secret(std::string_view key);
// A JSON document: what is in it can't be judged by one name.
bool is_document(const nlohmann::json& value);

}  // namespace codops::kube

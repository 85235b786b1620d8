#include "lib/ops/kubernetes/release_secrets.hpp"

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "lib/ops/release_secrets.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

void add_secret(const Json& secret, KnownSecrets& known) {
  for (const char* field : {"data", "stringData"}) {
    if (!secret.contains(field) || !secret.at(field).is_object()) continue;
    for (const auto& [name, value] : secret.at(field).items()) {
      if (!value.is_string()) continue;
      const auto& text = value.get_ref<const std::string&>();
      if (std::string_view{field} == "stringData") known.add_file(text);
      else if (const auto plain = io::from_base64(text)) known.add_file(*plain);
    }
  }
}

void add_variables(const Json& value, KnownSecrets& known) {
  if (value.is_object() && value.contains("env") && value.at("env").is_array()) {
    for (const auto& variable : value.at("env")) {
      if (variable.is_object() && variable.contains("value") && variable.at("value").is_string()) known.add_variable(variable.value("name", ""), variable.at("value").get<std::string>());
    }
  }
  if (!value.is_structured()) return;
  for (const auto& inner : value) add_variables(inner, known);
}

}  // namespace

KnownSecrets secrets_of(Cluster& cluster, const ObjectsByKey& objects) {
  KnownSecrets known;
  add_secrets_of(cluster.environment(), cluster.shell(), known);
  try {
    cluster.digests().add_secrets(known);
  } catch (const Failure&) {
    // docker's settings can't be read: whoever needs them says so.
  }
  for (const auto& [key, object] : objects) {
    if (object.kind() == "Secret") add_secret(object.json(), known);
    else add_variables(object.json(), known);
  }
  return known;
}

KnownSecrets secrets_of(const RunContext& context) {
  auto objects = context.next_objects;
  objects.insert(context.migrations.begin(), context.migrations.end());
  return secrets_of(context.cluster, objects);
}

}  // namespace codops::ops::kubernetes

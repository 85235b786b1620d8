#include "lib/ops/kubernetes/release_secrets.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "lib/engine/kubernetes/api.hpp"
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

// Names of Secrets that its containers' variables come from.
void add_referred(const Json& value, std::set<std::string>& names) {
  if (!value.is_structured()) return;
  if (value.is_object()) {
    for (const auto* field : {"secretRef", "secretKeyRef"}) {
      const auto found = value.find(field);
      if (found != value.end() && found->is_object() && found->contains("name") && found->at("name").is_string()) names.insert(found->at("name").get<std::string>());
    }
  }
  for (const auto& inner : value) add_referred(inner, names);
}

constexpr Milliseconds look_at_secrets{5000};

}  // namespace

KnownSecrets secrets_with_live(Cluster& cluster, const ObjectsByKey& objects, const Limits& limits) {
  auto all = objects;
  std::vector<k8s::ObjectRef> beside;
  std::set<std::pair<std::string, std::string>> known;
  for (const auto& [key, object] : objects) {
    if (object.kind() == "Secret") known.emplace(object.namespace_(), object.name());
  }
  for (const auto& [key, object] : objects) {
    std::set<std::string> names;
    add_referred(object.json(), names);
    for (const auto& name : names) {
      if (known.emplace(object.namespace_(), name).second) beside.push_back({"v1", "Secret", object.namespace_(), name});
    }
  }
  for (const auto& ref : beside) {
    try {
      if (auto json = cluster.api().find(ref, limits.within(look_at_secrets))) {
        kube::Object secret{std::move(*json)};
        all.emplace("live/" + key_of(secret), secret);
      }
    } catch (const Failure&) {
      limits.check("the look at the release's Secrets");
    }
  }
  return secrets_of(cluster, all);
}

std::string hidden(RunContext& context, std::string_view text) {
  if (!context.secrets || context.secrets_of_migrations != context.migrations.size()) {
    auto objects = context.next_objects;
    for (const auto* more : {&context.migrations, &context.current_objects, &context.before}) {
      for (const auto& [key, object] : *more) {
        if (!objects.emplace(key, object).second) objects.emplace("former/" + key, object);
      }
    }
    context.secrets_of_migrations = context.migrations.size();
    context.secrets = secrets_with_live(context.cluster, objects, Limits{});
  }
  return context.secrets->hide(text);
}

void HidingReporter::report(const Event& event) {
  auto told = event;
  told.text = hidden(context_, event.text);
  for (auto& line : told.details) line = hidden(context_, line);
  to_.report(told);
}

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

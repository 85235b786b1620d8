// A compose file that writes its stores' passwords itself (POSTGRES_PASSWORD: postgres) goes before one that would be invented for an
// empty DB_PASSWORD: the container is made with the first.
#include <algorithm>

#include "lib/io/http.hpp"
#include "lib/ops/dev/workspace.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

// The values that this run would invent for a store's password, and nobody has yet.
std::vector<std::string> invented(const std::vector<EnvFile>& files, Store store, const std::string& user) {
  std::vector<std::string> values;
  for (const auto& file : files) {
    for (const auto& name : file.generated) {
      const auto family = io::password_family(name);
      if (family.empty() || store_of_name(name) != store) continue;
      std::string login;
      for (const auto& key : io::user_names(family)) login = login.empty() ? file.after.value(key).value_or("") : login;
      if (!login.empty() && !user.empty() && login != user) continue;
      if (const auto value = file.after.value(name); value && !value->empty()) values.push_back(*value);
    }
  }
  return values;
}

bool stands_in_url(const std::vector<EnvFile>& files, const std::string& secret) {
  return std::any_of(files.begin(), files.end(), [&](const EnvFile& file) {
    return std::any_of(file.after.statements().begin(), file.after.statements().end(), [&](const EnvText::Statement& one) { return one.value && one.value->size() > secret.size() && one.value->find(secret) != std::string::npos; });
  });
}

// `secret` is of this run's making: wherever it stands it means this password.
void put_in_place(std::vector<EnvFile>& files, const std::string& secret, const std::string& password) {
  for (auto& file : files) {
    std::vector<std::string> names;
    for (const auto& statement : file.after.statements()) {
      if (statement.value && statement.value->find(secret) != std::string::npos) names.push_back(statement.name);
    }
    for (const auto& name : names) {
      const auto* statement = file.after.find(name);
      if (statement->value == secret) {
        file.after.set(name, password, {});
        continue;
      }
      auto raw = file.after.raw(*statement);
      if (const auto at = raw.find(secret); at != std::string::npos) file.after.replace(name, raw.replace(at, secret.size(), io::percent_encode(password)));
    }
  }
}

bool has_own_access_rules(const compose::Service& service) {
  for (const auto* words : {&service.command, &service.entrypoint}) {
    if (!*words) continue;
    if (std::any_of((*words)->begin(), (*words)->end(), [](const std::string& word) { return word.find("requirepass") != std::string::npos || word.find(".conf") != std::string::npos || word.find('$') != std::string::npos; })) return true;
  }
  return !service.configs.empty() || std::any_of(service.environment.begin(), service.environment.end(), [](const auto& one) { return one.first.find("PASSWORD") != std::string::npos; });
}

}  // namespace

bool take_compose_passwords(Workspace& workspace) {
  if (!workspace.compose) return false;
  bool taken = false;
  if (const auto admin = workspace.compose_admin(); admin && !admin->password.empty()) {
    const auto& password = admin->password.reveal();
    if (quoted_value(password)) {
      for (const auto& secret : invented(workspace.env, Store::postgres, admin->user)) {
        if (secret == password) continue;
        put_in_place(workspace.env, secret, password);
        taken = true;
      }
    }
  }
  // A Redis without a password refuses to be given one.
  for (const auto& [name, service] : workspace.compose->services) {
    if (store_of_service(service) != Store::redis || service.build || has_own_access_rules(service)) continue;
    for (const auto& secret : invented(workspace.env, Store::redis, {})) {
      if (stands_in_url(workspace.env, secret)) continue;
      put_in_place(workspace.env, secret, {});
      taken = true;
    }
  }
  return taken;
}

}  // namespace codops::ops::dev

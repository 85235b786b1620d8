#include "lib/io/postgres_environment.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace codops::io::postgres {
namespace {

struct Taken {
  std::map<std::string, std::string> variables;   // "PGHOST" → "db"
  std::map<std::string, std::string> keywords;    // "PGHOST" → "host"
};

Taken& taken() {
  static Taken all;
  return all;
}

void take(const char* variable, const char* keyword) {
  if (const char* value = std::getenv(variable)) taken().variables[variable] = value;
  if (keyword != nullptr) taken().keywords[variable] = keyword;
  ::unsetenv(variable);
}

bool is_anything_set() {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (std::string_view{*entry}.starts_with("PG")) return true;
  }
  return false;
}

bool is_on_this_machine(const Target& target) {
  return target.host == "localhost" || target.host.starts_with("127.") || target.host == "::1" || target.host.starts_with('/');
}

}  // namespace

void take_environment() {
  // libpq's list of them is not asked for without need: that loads it, and looks the user up.
  if (!is_anything_set()) return;
  // First, for PQconndefaults() would look it up.
  take("PGSERVICE", "service");
  PQconninfoOption* all = PQconndefaults();
  for (const auto* option = all; option != nullptr && option->keyword != nullptr; ++option) {
    if (option->envvar != nullptr) take(option->envvar, option->keyword);
  }
  PQconninfoFree(all);
  // No parameters, but sent to every server, or read by libpq on its own.
  for (const auto* more : {"PGTZ", "PGDATESTYLE", "PGGEQO", "PGREQUIRESSL"}) take(more, nullptr);
}

void restore_environment() {
  for (const auto& [name, value] : taken().variables) ::setenv(name.c_str(), value.c_str(), 0);
}

bool counts_for(const Target& target, const std::string& keyword) {
  const bool is_named = !target.host.empty() || target.options.count("hostaddr") != 0 || target.options.count("service") != 0;
  if (!is_named) return true;
  if (keyword == "user") return target.user.empty();
  if (keyword == "password" || keyword == "passfile") return target.password.empty();
  // They say whom to trust, never where to go; left out, a connection to another machine would be checked less than was asked for.
  return (keyword.starts_with("ssl") || keyword == "channel_binding") && !is_on_this_machine(target);
}

std::map<std::string, std::string> parameters_from_environment(const Target& target) {
  std::map<std::string, std::string> parameters;
  for (const auto& [variable, keyword] : taken().keywords) {
    const auto value = taken().variables.find(variable);
    if (value != taken().variables.end() && !value->second.empty() && counts_for(target, keyword)) parameters[keyword] = value->second;
  }
  return parameters;
}

std::map<std::string, std::string> variables_for(const Target& target) {
  std::map<std::string, std::string> variables;
  for (const auto& [variable, value] : taken().variables) {
    const auto keyword = taken().keywords.find(variable);
    if (keyword != taken().keywords.end() && counts_for(target, keyword->second)) variables[variable] = value;
  }
  return variables;
}

}  // namespace codops::io::postgres

#include "lib/scaffold/dev/env_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace codops::scaffold::dev {
namespace {

// Secrets by name: those that are there already, then new ones. One name has one value in all files.
class Pool {
 public:
  explicit Pool(const NewSecret& make) : make_{make} {}

  void know(const EnvText& text) {
    for (const auto& statement : text.statements()) {
      if (!statement.value || !is_own_secret(statement.name) || is_placeholder(*statement.value)) continue;
      values_.emplace(statement.name, *statement.value);
    }
  }
  const std::string& value(const std::string& name) {
    auto found = values_.find(name);
    if (found == values_.end()) found = values_.emplace(name, make_()).first;
    return found->second;
  }
  bool knows(const std::string& name) const { return values_.count(name) != 0; }
  // What stood in the example in a secret's place: the same text in a URL means that secret.
  void replaced(const std::string& name, const std::string& placeholder) { placeholders_.emplace(name, placeholder); }

  std::optional<std::string> for_url(Store store, const std::string& placeholder) {
    const std::string* only = nullptr;
    for (const auto& [name, text] : placeholders_) {
      if (text != placeholder || store_of_name(name) != store) continue;
      if (only != nullptr && values_.at(*only) != values_.at(name)) return std::nullopt;
      only = &name;
    }
    return only == nullptr ? std::nullopt : std::optional{values_.at(*only)};
  }

 private:
  const NewSecret& make_;
  std::map<std::string, std::string> values_, placeholders_;
};

bool wants_secret(const EnvText::Statement& statement) {
  return statement.value && is_own_secret(statement.name) && is_placeholder(*statement.value) &&
         (is_command(*statement.value) || statement.value->find('$') == std::string::npos);
}

// A password that somebody chose may have characters that end it in a URL, or that a .env file resolves.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// The URLs of `text` whose password is a placeholder get the secret that belongs there.
void fill_urls(EnvText& text, const std::vector<std::string>& names, Pool& pool) {
  for (const auto& name : names) {
    const auto* statement = text.find(name);
    if (statement == nullptr) continue;
    auto raw = text.raw(*statement);
    const auto place = url_place(raw);
    if (!place || place->password_begin == place->password_end || !is_placeholder(place->password)) continue;
    const auto secret = pool.for_url(store_of_scheme(place->scheme), place->password);
    if (!secret) continue;
    raw.replace(place->password_begin, place->password_end - place->password_begin, percent_encoded(*secret));
    text.replace(name, raw);
  }
}

std::vector<std::string> names_of(const EnvText& text) {
  std::vector<std::string> names;
  for (const auto& statement : text.statements()) {
    if (std::find(names.begin(), names.end(), statement.name) == names.end()) names.push_back(statement.name);
  }
  return names;
}

// The example with its secrets filled in; URLs come later, when every file's secrets are known.
void fill_secrets(EnvText& text, const std::vector<std::string>& names, Pool& pool, EnvFile& file) {
  for (const auto& name : names) {
    const auto* statement = text.find(name);
    if (statement == nullptr) continue;
    if (wants_secret(*statement)) {
      const auto placeholder = *statement->value;
      text.replace(name, pool.value(name));
      pool.replaced(name, placeholder);
      file.generated.push_back(name);
    } else if (is_secret_name(name) && statement->value && is_placeholder(*statement->value)) {
      file.to_fill.push_back(name);
    }
  }
}

std::uint16_t port_number(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : std::uint16_t{0};
}

bool same_host(const std::string& host, const std::string& from) {
  return from.empty() ? is_loopback(host) : host == from || (is_loopback(host) && is_loopback(from));
}

// The value with the server's place moved; nullopt: it means another server.
std::optional<std::string> moved(const std::string& name, const std::string& raw, const Move& move) {
  if (auto place = url_place(raw)) {
    if (store_of_scheme(place->scheme) != move.store || !same_host(place->host, move.from_host)) return std::nullopt;
    const auto port = place->port.empty() ? default_port(move.store) : port_number(place->port);
    if (port != move.from_port) return std::nullopt;
    auto changed = raw;
    changed.replace(place->begin, place->end - place->begin, fmt::format("{}:{}", move.to_host.empty() ? place->host : move.to_host, move.to_port));
    return changed;
  }
  if (store_of_name(name) != move.store) return std::nullopt;
  const bool is_port = name == "PGPORT" || name.ends_with("_PORT") || name == move.variable;
  if (is_port && port_number(raw) == move.from_port) return std::to_string(move.to_port);
  const bool is_host = name == "PGHOST" || name.ends_with("_HOST");
  if (is_host && !move.to_host.empty() && !move.from_host.empty() && !is_loopback(raw) && raw == move.from_host) return move.to_host;
  return std::nullopt;
}

}  // namespace

bool EnvFile::had(std::string_view name) const {
  return before && std::find(appended.begin(), appended.end(), name) == appended.end() && after.find(name) != nullptr;
}

std::uint16_t default_port(Store store) {
  return store == Store::postgres ? std::uint16_t{5432} : store == Store::redis ? std::uint16_t{6379} : std::uint16_t{0};
}

std::vector<EnvFile> plan_env(const std::vector<EnvSource>& sources, const NewSecret& new_secret) {
  Pool pool{new_secret};
  std::vector<EnvFile> files;
  std::vector<EnvText> examples;
  for (const auto& source : sources) {
    examples.emplace_back(source.example_text, source.example.empty() ? source.path : source.example);
    EnvFile file{source.path, source.example, source.text, EnvText{source.text ? *source.text : source.example_text, source.text ? source.path : source.example},
                 {}, {}, {}, {}, {}};
    if (source.text) pool.know(file.after);
    files.push_back(std::move(file));
  }
  std::vector<std::vector<std::string>> fresh(files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto& file = files[i];
    if (!file.before) {
      fresh[i] = names_of(file.after);
      fill_secrets(file.after, fresh[i], pool, file);
      continue;
    }
    for (const auto& name : names_of(examples[i])) {
      if (file.after.find(name) != nullptr) continue;
      if (file.after.commented_out(name)) file.left_out.push_back(name);
      else fresh[i].push_back(name);
    }
    if (fresh[i].empty()) continue;
    fill_secrets(examples[i], fresh[i], pool, file);
    std::vector<std::string> lines{fmt::format("# added by codops setup-dev from {}", file.example)};
    for (const auto& name : fresh[i]) lines.push_back(examples[i].line(*examples[i].find(name)));
    file.after.append(lines);
    file.appended = fresh[i];
  }
  // A secret that is there already stands in the URLs that are added, too.
  for (const auto& example : examples) {
    for (const auto& statement : example.statements()) {
      if (wants_secret(statement) && pool.knows(statement.name)) pool.replaced(statement.name, *statement.value);
    }
  }
  for (std::size_t i = 0; i < files.size(); ++i) fill_urls(files[i].after, fresh[i], pool);
  return files;
}

MoveEffect apply_move(std::vector<EnvFile>& files, const Move& move) {
  MoveEffect effect;
  bool variable_set = move.variable.empty();
  for (auto& file : files) {
    for (const auto& name : names_of(file.after)) {
      const auto* statement = file.after.find(name);
      auto changed = moved(name, file.after.raw(*statement), move);
      if (name == move.variable) {
        variable_set = true;
        if (port_number(file.after.raw(*statement)) != move.to_port) changed = std::to_string(move.to_port);
      }
      if (!changed || *changed == file.after.raw(*statement)) continue;
      const bool existing = file.had(name);
      file.after.replace(name, *changed);
      effect.anything = true;
      if (existing) {
        effect.existing.push_back(fmt::format("{} in {}", name, file.path));
        if (std::find(file.changed.begin(), file.changed.end(), name) == file.changed.end()) file.changed.push_back(name);
      }
    }
  }
  if (!variable_set && !files.empty()) {
    files.front().after.append({fmt::format("{}={}", move.variable, move.to_port)});
    if (files.front().before) files.front().appended.push_back(move.variable);
    effect.anything = true;
  }
  return effect;
}

}  // namespace codops::scaffold::dev

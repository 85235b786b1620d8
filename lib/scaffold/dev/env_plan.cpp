#include "lib/scaffold/dev/env_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "lib/base/percent.hpp"
#include "lib/io/http.hpp"

namespace codops::scaffold::dev {
namespace {

// Who logs in to a store, where, and with what: what an existing URL of it says.
struct Account {
  std::string user, password, database;
};

// Secrets by name: those that are there already, then new ones. One name has one value in all files, and one store one password: what a
// URL of somebody's has for it is what its other keys get.
class Pool {
 public:
  struct Known {
    std::string value, written;  // written: as the file has it, quotes included; empty: made here
  };

  explicit Pool(const NewSecret& make) : make_{make} {}

  void know(const EnvText& text) {
    for (const auto& statement : text.statements()) {
      if (!statement.value) continue;
      learn(statement, text.raw(statement));
      // A store's password that looks like nobody's is in use all the same.
      const bool in_use = !statement.value->empty() && !is_command(*statement.value) && !io::password_family(statement.name).empty();
      if (!is_own_secret(statement.name) || (is_placeholder(*statement.value) && !in_use)) continue;
      values_.emplace(statement.name, Known{*statement.value, text.written(statement)});
    }
  }
  const Known& value(const std::string& name) {
    auto found = values_.find(name);
    if (found != values_.end()) return found->second;
    const auto* same = of_same_role(name);
    return values_.emplace(name, same != nullptr ? *same : Known{make_(), {}}).first->second;
  }
  // An example's own password for a store is the one, where no file has another.
  void know_example(const EnvText& text) {
    for (const auto& statement : text.statements()) {
      if (!statement.value || io::password_family(statement.name).empty() || is_placeholder(*statement.value) || text.raw(statement).find('$') != std::string::npos) continue;
      examples_.emplace(statement.name, Known{*statement.value, text.written(statement)});
    }
  }
  // Who logs in, as whatever file says it, one that is only made too.
  void know_users(const EnvText& text) {
    for (const auto& statement : text.statements()) {
      if (part_of(statement.name) == Part::user && statement.value && !statement.value->empty()) logins_.emplace(statement.name, *statement.value);
    }
  }
  void take(const std::string& name, const std::string& value) { values_.emplace(name, Known{value, {}}); }
  bool knows(const std::string& name) const { return values_.count(name) != 0; }
  // What an existing URL of the same store has for this key; nullopt: nothing.
  std::optional<std::string> learned(const std::string& name) const {
    const auto store = store_of_name(name);
    const auto found = accounts_.find(store);
    if (found == accounts_.end() || knows(name)) return std::nullopt;
    const auto& account = found->second;
    // That URL is another role's than the server's own.
    const auto user = users_.find(store);
    if (user != users_.end() && user->second != account.user) return std::nullopt;
    const auto part = part_of(name);
    const auto& text = part == Part::password ? account.password : part == Part::user ? account.user : part == Part::database ? account.database : std::string{};
    return text.empty() ? std::nullopt : std::optional{text};
  }
  // What stood in the example in a secret's place: the same text in a URL means that secret.
  void replaced(const std::string& name, const std::string& placeholder) { placeholders_.emplace(name, placeholder); }

  std::optional<std::string> for_url(Store store, const std::string& user, const std::string& placeholder) {
    const std::string* only = nullptr;
    for (const auto& [name, text] : placeholders_) {
      if (text != placeholder || store_of_name(name) != store) continue;
      if (only != nullptr && values_.at(*only).value != values_.at(name).value) return std::nullopt;
      only = &name;
    }
    if (only != nullptr) return values_.at(*only).value;
    // Spelled otherwise there: still the password of that store, where the URL logs in as the same role.
    for (const auto* known : {&values_, &examples_}) {
      std::set<std::string> found;
      for (const auto& [name, password] : *known) {
        if (store_of_name(name) != store || io::password_family(name).empty()) continue;
        if (const auto login = login_of(name); login.empty() || user.empty() || login == user) found.insert(password.value);
      }
      if (found.size() > 1) return std::nullopt;
      if (!found.empty()) return *found.begin();
    }
    return std::nullopt;
  }

 private:
  enum class Part { none, user, password, database };
  static Part part_of(std::string_view name) {
    const auto last = name.substr(name.find_last_of('_') + 1);
    if (last == "PASSWORD" || last == "PASS" || last == "PASSWD" || last == "PWD") return Part::password;
    if (last == "USER" || last == "USERNAME") return Part::user;
    const bool is_redis = store_of_name(name) == Store::redis;  // a number there, and no part of the server
    return !is_redis && name.find('_') != std::string_view::npos && (last == "DB" || last == "DATABASE" || last == "NAME") ? Part::database : Part::none;
  }
  void learn(const EnvText::Statement& statement, const std::string& raw) {
    if (part_of(statement.name) == Part::user && !statement.value->empty()) users_.emplace(store_of_name(statement.name), *statement.value);
    const auto place = url_place(*statement.value);
    const auto store = place ? store_of_scheme(place->scheme) : Store::none;
    // One on another machine says nothing about the server here.
    const bool here = place && (is_loopback(place->host) || place->host.find('.') == std::string::npos);
    // A password that looks like nobody's is in use all the same.
    if (store == Store::none || !here || raw.find('$') != std::string::npos || place->password.empty()) return;
    Account account{percent_decoded(place->user), percent_decoded(place->password), percent_decoded(place->path)};
    const bool main = statement.name == "DATABASE_URL" || statement.name == "REDIS_URL";
    if (main) accounts_[store] = std::move(account);
    else accounts_.emplace(store, std::move(account));
  }

  // The user beside this password; empty: none is named.
  std::string login_of(const std::string& name) const {
    for (const auto& user : io::user_names(io::password_family(name))) {
      if (const auto found = logins_.find(user); found != logins_.end()) return found->second;
    }
    return {};
  }
  // DB_PASSWORD and POSTGRES_PASSWORD are one, unless they are said to be two roles'.
  const Known* of_same_role(const std::string& name) const {
    if (io::password_family(name).empty()) return nullptr;
    const auto own = login_of(name);
    for (const auto* all : {&values_, &examples_}) {
      for (const auto& [other, known] : *all) {
        if (io::password_family(other).empty() || store_of_name(other) != store_of_name(name)) continue;
        if (const auto login = login_of(other); own.empty() || login.empty() || own == login) return &known;
      }
    }
    return nullptr;
  }

  const NewSecret& make_;
  std::map<std::string, std::string> logins_;
  std::map<std::string, Known> values_, examples_;
  std::map<std::string, std::string> placeholders_;
  std::map<Store, Account> accounts_;
  std::map<Store, std::string> users_;
};

bool wants_secret(const EnvText::Statement& statement) {
  return statement.value && is_own_secret(statement.name) && is_placeholder(*statement.value) &&
         (is_command(*statement.value) || statement.value->find('$') == std::string::npos);
}

// The URLs of `text` whose password is a placeholder get the secret that belongs there.
void fill_urls(EnvText& text, const std::vector<std::string>& names, Pool& pool) {
  for (const auto& name : names) {
    const auto* statement = text.find(name);
    if (statement == nullptr) continue;
    auto raw = text.raw(*statement);
    const auto place = url_place(raw);
    if (!place || place->password_begin == place->password_end || !is_placeholder(place->password)) continue;
    const auto secret = pool.for_url(store_of_scheme(place->scheme), percent_decoded(place->user), place->password);
    if (!secret) continue;
    // A password that somebody chose may have characters that end it in a URL, or that a .env file resolves.
    raw.replace(place->password_begin, place->password_end - place->password_begin, io::percent_encode(*secret));
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
    if (const auto learned = pool.learned(name); learned && statement->value && statement->value->find('$') == std::string::npos) {
      const auto before = *statement->value;
      if (!quoted_value(*learned)) {
        file.to_fill.push_back(name);
        continue;
      }
      text.set(name, *learned, {});
      if (is_own_secret(name)) {
        pool.take(name, *learned);
        pool.replaced(name, before);
      }
    } else if (wants_secret(*statement)) {
      const auto placeholder = *statement->value;
      const auto& secret = pool.value(name);
      text.set(name, secret.value, secret.written);
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

// "localhost:6379" → "localhost:6380"
std::optional<std::string> moved_pair(const std::string& raw, const Move& move) {
  const auto colon = raw.rfind(':');
  if (colon == std::string::npos || port_number(std::string_view{raw}.substr(colon + 1)) != move.from_port) return std::nullopt;
  const auto host = raw.substr(0, colon);
  if (host.find_first_of("/@ ") != std::string::npos || !same_host(host, move.from_host)) return std::nullopt;
  return fmt::format("{}:{}", move.to_host.empty() ? host : move.to_host, move.to_port);
}

std::optional<std::string> moved_url(const std::string& raw, const Move& move) {
  const auto place = url_place(raw);
  if (!place || store_of_scheme(place->scheme) != move.store || !same_host(place->host, move.from_host)) return std::nullopt;
  const auto port = place->port.empty() ? default_port(move.store) : port_number(place->port);
  if (port != move.from_port) return std::nullopt;
  auto changed = raw;
  changed.replace(place->begin, place->end - place->begin, fmt::format("{}:{}", move.to_host.empty() ? place->host : move.to_host, move.to_port));
  return changed;
}

bool is_port_name(std::string_view name) {
  for (const auto* end : {"_PORT", "_PORT_NUMBER", "_PORTS"}) {
    if (name.ends_with(end)) return true;
  }
  return name == "PGPORT" || name == "REDISPORT";
}

// Several, with commas between: each that means the server is moved.
std::optional<std::string> moved_list(const std::string& raw, const Move& move, bool pairs_too) {
  std::string out;
  bool any = false;
  for (std::string_view rest{raw};;) {
    const auto comma = rest.find(',');
    const std::string piece{rest.substr(0, comma)};
    const auto begin = std::min(piece.find_first_not_of(' '), piece.size());
    auto changed = moved_url(piece.substr(begin), move);
    if (!changed && pairs_too) changed = moved_pair(piece.substr(begin), move);
    any = any || changed.has_value();
    out += piece.substr(0, begin) + changed.value_or(piece.substr(begin));
    if (comma == std::string_view::npos) break;
    out += ',';
    rest.remove_prefix(comma + 1);
  }
  return any ? std::optional{out} : std::nullopt;
}

// The value with the server's place moved; nullopt: it means another server.
std::optional<std::string> moved(const std::string& name, const std::string& raw, const Move& move) {
  const bool by_name = store_of_name(name) == move.store;
  if (auto changed = moved_list(raw, move, by_name)) return changed;
  if (!by_name && name != move.variable) return std::nullopt;
  const bool is_port = is_port_name(name) || name == move.variable;
  if (is_port && port_number(raw) == move.from_port) return std::to_string(move.to_port);
  const bool is_host = name == "PGHOST" || name == "REDISHOST" || name.ends_with("_HOST") || name.ends_with("_HOSTNAME") || name.ends_with("_SERVER");
  if (is_host && !move.to_host.empty() && !move.from_host.empty() && !is_loopback(raw) && raw == move.from_host) return move.to_host;
  return std::nullopt;
}

// Has it the old port, and might mean this machine? Somebody has to look.
bool may_be_left(const std::string& raw, const Move& move) {
  const auto port = std::to_string(move.from_port);
  const auto place = url_place(raw);
  if (place && !is_loopback(place->host)) return false;
  const auto digit = [&](std::size_t at) { return at < raw.size() && raw[at] >= '0' && raw[at] <= '9'; };
  for (auto at = raw.find(port); at != std::string::npos; at = raw.find(port, at + 1)) {
    if ((at == 0 || !digit(at - 1)) && !digit(at + port.size())) return true;
  }
  return false;
}

}  // namespace

bool EnvFile::had(std::string_view name) const {
  return before && std::find(appended.begin(), appended.end(), name) == appended.end() && after.find(name) != nullptr;
}

std::uint16_t default_port(Store store) {
  return store == Store::postgres ? std::uint16_t{5432} : store == Store::redis ? std::uint16_t{6379} : std::uint16_t{0};
}

std::vector<EnvSource> merged_links(std::vector<EnvSource> sources, const std::function<std::string(const std::string&)>& resolved) {
  std::vector<EnvSource> out;
  std::map<std::string, std::size_t> known;
  // Files first, so that a link is added to the file that it leads to.
  std::stable_partition(sources.begin(), sources.end(), [&](const EnvSource& one) { return resolved(one.path) == one.path; });
  for (auto& source : sources) {
    const auto [found, is_new] = known.emplace(resolved(source.path), out.size());
    if (is_new) {
      out.push_back(std::move(source));
      continue;
    }
    auto& first = out[found->second];
    first.links.push_back(source.path);
    if (source.example.empty()) continue;
    if (first.example.empty()) {
      first.example = source.example;
      first.example_text = source.example_text;
      continue;
    }
    EnvText all{first.example_text, first.example};
    const EnvText more{source.example_text, source.example};
    std::vector<std::string> lines;
    for (const auto& name : names_of(more)) {
      if (all.find(name) == nullptr && !all.commented_out(name)) lines.push_back(more.line(*more.find(name)));
    }
    all.append(lines);
    first.example_text = all.text();
  }
  return out;
}

std::vector<EnvFile> plan_env(const std::vector<EnvSource>& sources, const NewSecret& new_secret) {
  Pool pool{new_secret};
  std::vector<EnvFile> files;
  std::vector<EnvText> examples;
  for (const auto& source : sources) {
    examples.emplace_back(source.example_text, source.example.empty() ? source.path : source.example);
    EnvFile file{source.path, source.example, source.text, EnvText{source.text ? *source.text : source.example_text, source.text ? source.path : source.example},
                 {}, {}, {}, {}, {}, source.links};
    pool.know_users(file.after);
    pool.know_users(examples.back());
    if (source.text) pool.know(file.after);
    files.push_back(std::move(file));
  }
  for (const auto& example : examples) pool.know_example(example);
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
      if (!changed && move.to_port != move.from_port && may_be_left(file.after.raw(*statement), move)) effect.left.push_back(fmt::format("{} in {}", name, file.path));
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
  for (auto& file : files) {
    if (move.unsaid_port.empty() || file.path != move.unsaid_file || file.after.find(move.unsaid_port) != nullptr) continue;
    file.after.append({fmt::format("{}={}", move.unsaid_port, move.to_port)});
    if (file.before) file.appended.push_back(move.unsaid_port);
    effect.anything = true;
  }
  return effect;
}

}  // namespace codops::scaffold::dev

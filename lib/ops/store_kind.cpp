#include "lib/ops/store_kind.hpp"

#include <algorithm>
#include <charconv>

#include "lib/base/failure.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/scaffold/dev/env_plan.hpp"

namespace codops::ops {

using io::Store;
using scaffold::dev::default_port;
using scaffold::dev::store_of_name;

Store store_of_service(const compose::Service& service) {
  if (const auto known = store_of_image(service.image); known != Store::none) return known;
  // One that somebody builds, or a company's own: it listens where such a server does, and is called so or configured as one.
  const auto listens_at = [&](Store store) { return std::any_of(service.ports.begin(), service.ports.end(), [&](const compose::Port& port) { return port.target == default_port(store); }); };
  const bool configured = std::any_of(service.environment.begin(), service.environment.end(), [](const auto& variable) {
    return variable.first == "POSTGRES_PASSWORD" || variable.first == "POSTGRES_USER" || variable.first == "POSTGRES_DB" || variable.first == "POSTGRES_HOST_AUTH_METHOD";
  });
  if (listens_at(Store::postgres) && (configured || store_of_name(service.name) == Store::postgres)) return Store::postgres;
  return listens_at(Store::redis) && store_of_name(service.name) == Store::redis ? Store::redis : Store::none;
}

Store store_of_image(const std::string& image) {
  auto name = image.substr(0, image.find('@'));
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  name = name.substr(0, name.find(':'));
  for (const auto* known : {"postgres", "postgresql", "postgis", "timescaledb", "pgvector"}) {
    if (name == known) return Store::postgres;
  }
  for (const auto* known : {"redis", "valkey", "keydb", "redis-stack", "redis-stack-server"}) {
    if (name == known) return Store::redis;
  }
  return Store::none;
}

KindOfHost kinds_in(const compose::Project& project) {
  return [&project](const std::string& host) -> std::optional<Store> {
    const auto service = project.services.find(host);
    if (service == project.services.end()) return std::nullopt;
    const auto store = store_of_service(service->second);
    // One that somebody builds, or a pooler, may be anything.
    if (store == Store::none && (service->second.build || service->second.image.empty())) return std::nullopt;
    return store;
  };
}

namespace {

// Throws Failure{config} with the variable. A number, or several as libpq takes them; "tcp://10.0.0.7:5432" is what links of containers set.
void require_port(const io::StoreParts& parts) {
  if (parts.port_value.empty()) return;
  for (std::string_view rest{parts.port_value};;) {
    const auto one = rest.substr(0, rest.find(','));
    int port = 0;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), port);
    if (error != std::errc{} || end != one.data() + one.size() || port < 1 || port > 65535) {
      throw Failure{Exit::config, fmt::format("{} is no port: \"{}\"", parts.port_name(), io::shown_word(parts.port_value)), "write a number from 1 to 65535"};
    }
    if (one.size() == rest.size()) return;
    rest.remove_prefix(one.size() + 1);
  }
}

}  // namespace

std::optional<InPieces> in_pieces(Store store, const io::PartLookup& look, const KindOfHost& kind, const PieceRules& rules) {
  const auto parts = io::store_parts(store, look, rules.host_needed);
  if (!parts || parts->host_value.starts_with('/')) return std::nullopt;
  if (store == Store::postgres && parts->user.empty() && parts->database.empty()) return std::nullopt;
  const auto said = io::is_kind(store, *parts, look);
  const auto service = kind ? kind(parts->host_value) : std::nullopt;
  const bool other_service = service && *service != store && said != io::Said::yes;
  if (said == io::Said::no || other_service) return std::nullopt;
  if (said == io::Said::nothing && !rules.asked && !(service && *service == store)) return std::nullopt;
  require_port(*parts);
  return InPieces{parts->url, parts->first()};
}

std::optional<InPieces> in_pieces(Store store, const compose::Project& project, const compose::Service& service, bool asked) {
  if (store_of_service(service) != Store::none) return std::nullopt;
  const auto look = [&](const std::string& name) {
    const auto found = service.environment.find(name);
    return found == service.environment.end() ? std::nullopt : found->second;
  };
  return in_pieces(store, look, kinds_in(project), {true, asked});
}

}  // namespace codops::ops

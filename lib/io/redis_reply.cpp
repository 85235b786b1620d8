#include "lib/io/redis_reply.hpp"

#include <hiredis/hiredis.h>

#include <charconv>

#include "lib/io/redis_probe.hpp"

namespace codops::io {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
}

// RFC 3986's percent-encoding, as passwords with odd characters need it.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      out.push_back(static_cast<char>(value));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

int database_of(std::string_view text) {
  if (text.empty()) return 0;
  const auto value = number(text);
  if (!value || *value > 1'000'000) {
    throw Failure{Exit::config, "the database of the Redis URL is no number", "write it as redis://host:6379/0"};
  }
  return static_cast<int>(*value);
}

// Of "?a=1&db=2"; what is empty says nothing.
std::optional<std::string> parameter(std::string_view query, std::string_view name) {
  query = query.substr(0, query.find('#'));
  std::optional<std::string> found;
  while (!query.empty()) {
    query.remove_prefix(1);
    const auto pair = query.substr(0, query.find('&'));
    if (pair.size() > name.size() + 1 && pair.starts_with(name) && pair[name.size()] == '=') found = decoded(pair.substr(name.size() + 1));
    query.remove_prefix(pair.size());
  }
  return found;
}

}  // namespace

std::string redis_command(const std::vector<std::string>& words) {
  std::vector<const char*> pointers;
  std::vector<std::size_t> sizes;
  for (const auto& word : words) {
    pointers.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* text = nullptr;
  const auto size = ::redisFormatCommandArgv(&text, static_cast<int>(words.size()), pointers.data(), sizes.data());
  std::string out{text, static_cast<std::size_t>(size)};
  ::redisFreeCommand(text);
  return out;
}

RedisReply redis_reply(const void* raw) {
  const auto& reply = *static_cast<const ::redisReply*>(raw);
  switch (reply.type) {
    case REDIS_REPLY_ERROR:
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS: return {reply.type == REDIS_REPLY_ERROR, std::string{reply.str, static_cast<std::size_t>(reply.len)}};
    case REDIS_REPLY_INTEGER: return {false, std::to_string(reply.integer)};
    default: return {};
  }
}

RedisTarget parse_redis_url(std::string_view url) {
  const auto bad = [] {
    return Failure{Exit::config, "the Redis URL can't be read", "write it as redis://:PASSWORD@host:6379/0 or rediss://…"};
  };
  RedisTarget target;
  auto rest = url;
  if (rest.starts_with("unix://")) {
    rest.remove_prefix(7);
    const auto query = std::min(rest.find('?'), rest.size());
    const auto at = rest.substr(0, query).rfind('@');
    if (at != std::string_view::npos) {
      auto userinfo = rest.substr(0, at);
      const auto colon = userinfo.find(':');
      if (colon != std::string_view::npos) {
        target.user = decoded(userinfo.substr(0, colon));
        userinfo.remove_prefix(colon + 1);
      }
      target.password = Secret{decoded(userinfo)};
    }
    const auto start = at == std::string_view::npos ? 0 : at + 1;
    target.tcp.via.unix_socket = decoded(rest.substr(start, query - start));
    if (const auto db = parameter(rest.substr(query), "db")) {
      target.database = database_of(*db);
      target.names_database = true;
    }
    if (target.tcp.via.unix_socket.empty()) throw bad();
    return target;
  }
  if (rest.starts_with("rediss://")) {
    target.tls = true;
    rest.remove_prefix(9);
  } else if (rest.starts_with("redis://")) {
    rest.remove_prefix(8);
  } else if (rest.find("://") != std::string_view::npos) {
    throw bad();
  }
  const auto query_at = std::min(rest.find_first_of("?#"), rest.size());
  const auto query = rest.substr(query_at);
  // A '?' or '#' of the password ended it too early, and the rest would be shown as the host.
  if (query.find('@') != std::string_view::npos) throw bad();
  rest = rest.substr(0, query_at);
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const auto userinfo = rest.substr(0, at);
    const auto colon = userinfo.find(':');
    // Without a colon it is the password alone: a user without one makes no sense.
    if (colon != std::string_view::npos) target.user = decoded(userinfo.substr(0, colon));
    target.password = Secret{decoded(colon == std::string_view::npos ? userinfo : userinfo.substr(colon + 1))};
    rest.remove_prefix(at + 1);
  }
  const auto slash = std::min(rest.find('/'), rest.size());
  std::string host_port{rest.substr(0, slash)};
  // RFC 6874: the '%' before a zone, too, is percent-encoded in a URL.
  if (const auto zone = host_port.find("%25"); host_port.starts_with('[') && zone != std::string::npos) host_port.erase(zone + 1, 2);
  const auto address = slash == 0 ? HostPort{"127.0.0.1", 6379} : parse_host_port(host_port).value_or(HostPort{});
  if (address.host.empty()) throw bad();
  target.tcp.host = address.host;
  target.tcp.port = address.port == 0 ? std::uint16_t{6379} : address.port;
  if (slash < rest.size()) {
    target.database = database_of(rest.substr(slash + 1));
    target.names_database = rest.size() > slash + 1;
  }
  // redis-py and Celery, who let it win over the path.
  if (const auto db = parameter(query, "db")) {
    target.database = database_of(*db);
    target.names_database = true;
  }
  return target;
}

std::string to_string(const RedisTarget& target) {
  std::string out = target.tls ? "rediss://" : target.tcp.via.unix_socket.empty() ? "redis://" : "unix://";
  out += target.tcp.host.empty() ? target.tcp.via.unix_socket : to_string(target.tcp);
  if (target.database != 0) out += "/" + std::to_string(target.database);
  return out;
}

RedisFacts read_redis_info(std::string_view info) {
  RedisFacts facts;
  while (!info.empty()) {
    const auto end = std::min(info.find('\n'), info.size());
    auto line = info.substr(0, end);
    info.remove_prefix(std::min(end + 1, info.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto key = line.substr(0, colon);
    const auto value = line.substr(colon + 1);
    if (key == "redis_version") facts.version = value;
    if (key == "role") facts.role = value;
    if (key == "loading") facts.loading = value == "1";
    if (key == "master_link_status") facts.replica_link_up = value == "up";
    if (key == "used_memory") facts.used_memory = number(value);
    if (key == "maxmemory") facts.max_memory = number(value);
    if (key == "connected_clients") facts.clients = number(value);
    if (key == "rdb_last_bgsave_status") facts.write_errors = value == "err";
  }
  return facts;
}

}  // namespace codops::io

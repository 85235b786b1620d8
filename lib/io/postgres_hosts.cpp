#include "lib/io/postgres_hosts.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "lib/io/postgres_library.hpp"
#include "lib/io/postgres_session.hpp"

namespace codops::io::postgres {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (std::size_t start = 0;;) {
    const auto end = list.find(',', start);
    out.push_back(list.substr(start, end == std::string::npos ? end : end - start));
    if (end == std::string::npos) return out;
    start = end + 1;
  }
}

std::string value_of(const Parameters& parameters, const char* key) {
  const auto found = parameters.find(key);
  return found == parameters.end() ? std::string{} : found->second;
}

// libpq reads these only when their time comes, and of some keeps quiet where its caller waits itself: as parse_int_param() would.
std::string misread_number(const Parameters& parameters) {
  constexpr std::array numbers{"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"};
  for (const auto* key : numbers) {
    const auto value = value_of(parameters, key);
    if (value.empty()) continue;
    const auto first = value.find_first_not_of(" \t\n\r\v\f");
    const auto last = value.find_last_not_of(" \t\n\r\v\f");
    const auto digits = first == std::string::npos ? std::string_view{} : std::string_view{value}.substr(first, last - first + 1);
    const auto begin = digits.starts_with('+') ? digits.data() + 1 : digits.data();
    int number = 0;
    const auto [end, error] = std::from_chars(begin, digits.data() + digits.size(), number);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return "invalid integer value \"" + value + "\" for connection option \"" + key + "\"";
  }
  return {};
}

}  // namespace

Effective effective(const Parameters& parameters) {
  constexpr auto last = "target_session_attrs";
  constexpr std::array sessions{"any", "read-write", "read-only", "primary", "standby", "prefer-standby"};
  Effective out;
  if (const auto wanted = value_of(parameters, last); !wanted.empty() && std::find(sessions.begin(), sessions.end(), wanted) == sessions.end()) {
    out.mistake = "invalid target_session_attrs value: \"" + wanted + "\"";
  }
  // Nothing but a connection says what a service stands for. This one never begins: the parameter that libpq checks last is wrong.
  auto unusable = parameters;
  unusable[last] = "none";
  const std::unique_ptr<PGconn, decltype(&::PQfinish)> connection{begin_connecting(unusable), &::PQfinish};
  if (!connection) return {parameters, "no memory for a connection"};
  const std::string said = ::PQerrorMessage(connection.get());
  if (out.mistake.empty() && said.find(last) == std::string::npos) out.mistake = said;
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options{::PQconninfo(connection.get()), &::PQconninfoFree};
  for (const auto* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0' && std::string_view{option->keyword} != last) out.parameters[option->keyword] = option->val;
  }
  if (out.mistake.empty()) out.mistake = misread_number(out.parameters);
  return out;
}

std::optional<std::vector<Host>> hosts_of(const Parameters& parameters) {
  const auto host = value_of(parameters, "host"), address = value_of(parameters, "hostaddr"), port = value_of(parameters, "port");
  const auto names = split(host), addresses = split(address), ports = split(port);
  const auto count = address.empty() ? names.size() : addresses.size();
  if ((!host.empty() && names.size() != count) || (ports.size() != 1 && ports.size() != count)) return std::nullopt;
  std::vector<Host> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!host.empty()) out[i].name = names[i];
    if (!address.empty()) out[i].address = addresses[i];
    out[i].port = ports.size() == 1 ? ports[0] : ports[i];
    if (out[i].port.empty()) out[i].port = "5432";
  }
  return out;
}

void put_hosts(const std::vector<Host>& hosts, Parameters& into) {
  std::string names, addresses, ports;
  for (const auto& host : hosts) {
    const auto* comma = &host == &hosts.front() ? "" : ",";
    names.append(comma).append(host.name);
    addresses.append(comma).append(host.address);
    ports.append(comma).append(host.port);
  }
  into["host"] = names;
  into["hostaddr"] = addresses;
  into["port"] = ports;
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace codops::io::postgres

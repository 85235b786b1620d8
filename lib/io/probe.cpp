#include "lib/io/probe.hpp"

#include <arpa/inet.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace codops::io {

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::none: return "";
    case Stage::dns: return "dns";
    case Stage::connect: return "connect";
    case Stage::tls: return "tls";
    case Stage::request: return "request";
    case Stage::status: return "status";
    case Stage::body: return "body";
    case Stage::deadline: return "deadline";
  }
  return "";
}

std::optional<StageTimes::Duration>* StageTimes::find(Stage stage) {
  switch (stage) {
    case Stage::dns: return &dns;
    case Stage::connect: return &connect;
    case Stage::tls: return &tls;
    case Stage::request: return &request;
    case Stage::body: return &body;
    default: return nullptr;
  }
}

void StageTimes::add(Stage stage, Duration duration) {
  if (auto* time = find(stage)) *time = time->value_or(Duration{0}) + duration;
}

std::optional<HostPort> parse_host_port(std::string_view text) {
  HostPort out;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && !port.starts_with(':')) return std::nullopt;
  } else {
    const auto colon = text.rfind(':');
    // More than one colon without brackets is an IPv6 address without a port.
    const bool has_port = colon != std::string_view::npos && text.find(':') == colon;
    out.host = has_port ? text.substr(0, colon) : text;
    if (has_port) port = text.substr(colon);
  }
  // A URL in this place must not pass for a host: it may carry a password, and hosts are shown.
  if (out.host.empty() || out.host.find_first_of("/@?#= \t\"'") != std::string::npos) return std::nullopt;
  in6_addr ignored{};
  const auto zone = std::min(out.host.find('%'), out.host.size());
  if (out.host.find(':') != std::string::npos && ::inet_pton(AF_INET6, out.host.substr(0, zone).c_str(), &ignored) != 1) return std::nullopt;
  if (port.empty()) return out;
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc{} || end != port.data() + port.size() || out.port == 0) return std::nullopt;
  return out;
}

std::string to_string(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  auto out = v6 ? "[" + address.host + "]" : address.host;
  if (address.port != 0) out += ":" + std::to_string(address.port);
  return out;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "\"" : ", \"") + name + "\"";
  return out;
}

ProbeResult connect_trouble(int error, const std::string& where) {
  ProbeResult result;
  result.trouble = Trouble::failed;
  result.stage = Stage::connect;
  switch (error) {
    case ECONNREFUSED:
      result.message = "nothing listens on " + where;
      result.hint = "start the service, or check its port";
      break;
    case ETIMEDOUT:
      result.message = "no answer from " + where;
      result.hint = "check the address, a firewall, and that the host is up";
      break;
    case ENETUNREACH:
    case EHOSTUNREACH:
      result.message = "no route to " + where;
      result.hint = "check the network of this machine: ip route";
      break;
    case ENOENT:
      result.message = "the socket " + where + " does not exist";
      result.hint = "start the service, or check the path";
      break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
      result.trouble = Trouble::busy;
      result.message = std::string{"this machine has no room for a connection to "} + where + ": " + std::strerror(error);
      result.hint = "ulimit -n 1024, or fewer at once: --parallel 16";
      break;
    case EACCES:
    case EPERM:
      result.trouble = Trouble::unknown;
      result.message = "this user may not connect to " + where + ": " + std::strerror(error);
      result.hint = "check the permissions of the socket, and this machine's firewall";
      break;
    default:
      result.message = "cannot connect to " + where + ": " + std::strerror(error);
      result.hint = "check the address and the network";
  }
  return result;
}

}  // namespace codops::io

#include "lib/ops/upstreams.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <sstream>

namespace codops::ops {

namespace {

constexpr std::string_view written_prefix = "# Written by codops for release ";

}  // namespace

std::string render(const UpstreamFile& file) {
  auto text = fmt::format("{}{} ({}); changes here are lost at the next switch.\n", written_prefix, file.release, file.version);
  // A dead address answers nothing: without this a request waits a minute before it tries the next server.
  if (file.set_connect_timeout) text += "proxy_connect_timeout 500ms;\n";
  for (const auto& upstream : file.upstreams) {
    text += fmt::format("upstream {} {{\n", upstream.service);
    if (upstream.sticky) text += "    ip_hash;\n";
    const bool has_backup = !upstream.sticky && !upstream.backups.empty();
    // With a backup a primary that fails is left out at once; alone, leaving it out would only add refusals.
    const auto* const failing = has_backup ? "max_fails=1 fail_timeout=1s" : "max_fails=0";
    for (const auto& address : upstream.primaries) {
      text += fmt::format("    server {}:{} {};\n", address, upstream.port, failing);
    }
    if (has_backup) {
      for (const auto& address : upstream.backups) text += fmt::format("    server {}:{} backup;\n", address, upstream.port);
    }
    text += "}\n";
  }
  return text;
}

std::string_view effective(std::string_view file) { return file.substr(std::min(file.find('\n'), file.size())); }

std::optional<WrittenFor> written_for(std::string_view file) {
  if (!file.starts_with(written_prefix)) return std::nullopt;
  auto rest = file.substr(written_prefix.size(), file.find('\n') - written_prefix.size());
  WrittenFor found;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), found.release);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  const auto close = rest.rfind("); ");
  if (error != std::errc{} || !rest.starts_with(" (") || close == std::string_view::npos) return std::nullopt;
  found.version = rest.substr(2, close - 2);
  return found;
}

std::vector<std::string> primaries_in(std::string_view file, const std::string& service) {
  constexpr std::string_view server = "    server ";
  const auto opening = fmt::format("\nupstream {} {{\n", service);
  std::vector<std::string> addresses;
  const auto start = file.find(opening);
  if (start == std::string_view::npos) return addresses;
  file = file.substr(start + opening.size());
  file = file.substr(0, file.find('}'));
  while (!file.empty()) {
    const auto line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(line.size() + 1, file.size()));
    if (line.starts_with(server) && !line.ends_with(" backup;")) addresses.emplace_back(line.substr(server.size(), line.rfind(':') - server.size()));
  }
  return addresses;
}

int port_in(const std::string& file, const std::string& service) {
  const auto start = file.find(fmt::format("\nupstream {} {{\n", service));
  if (start == std::string::npos) return 0;
  const auto server = file.find("    server ", start);
  const auto colon = server == std::string::npos || server > file.find('}', start) ? std::string::npos : file.find(':', server);
  return colon == std::string::npos ? 0 : std::atoi(file.c_str() + colon + 1);
}

bool sets_directive(const std::string& configuration, const std::string& directive) {
  std::istringstream lines{configuration};
  std::string line;
  while (std::getline(lines, line)) {
    line.erase(std::min(line.find('#'), line.size()));
    for (std::size_t at = line.find(directive); at != std::string::npos; at = line.find(directive, at + 1)) {
      const bool starts = at == 0 || std::string_view{" \t;{}"}.find(line[at - 1]) != std::string_view::npos;
      const auto after = at + directive.size();
      const bool ends = after == line.size() || line[after] == ' ' || line[after] == '\t';
      if (starts && ends) return true;
    }
  }
  return false;
}

}  // namespace codops::ops

#include "lib/ops/upstreams.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

namespace codops::ops {

std::string render(const UpstreamFile& file) {
  auto text = fmt::format("# Written by codops for release {} ({}); changes here are lost at the next switch.\n",
                          file.release, file.version);
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

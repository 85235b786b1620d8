#include "lib/ops/maintenance.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {
namespace {

constexpr const char* socket_path = "/tmp/codops-maintenance.sock";
constexpr const char* default_page =
    "<!doctype html><meta charset=utf-8><title>Maintenance</title><h1>Back soon</h1><p>This site is being maintained.</p>\n";

// For a double-quoted nginx string: quotes, backslashes and variables must not end or change it.
std::string quoted(const std::string& page) {
  std::string out;
  for (const char c : page) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '$') out += "${codops_dollar}";
    else out += c;
  }
  return out;
}

}  // namespace

std::string maintenance_file(const std::string& upstreams, const std::string& page) {
  std::string text = "# Written by codops: maintenance is on. The same command with \"off\" brings the application back.\n";
  // The only way to a literal dollar in nginx: a variable whose value is one.
  text += "geo $codops_dollar { default \"$\"; }\n";
  std::istringstream lines{upstreams};
  std::string line;
  bool has_server = false;
  while (std::getline(lines, line)) {
    if (line.starts_with("proxy_connect_timeout")) text += line + "\n";
    if (line.starts_with("upstream ")) {
      text += line + "\n    server unix:" + socket_path + ";\n}\n";
      has_server = true;
    }
  }
  if (!has_server) return text;
  text += fmt::format(
      "server {{\n    listen unix:{};\n    server_name _;\n    access_log off;\n    location / {{\n        default_type text/html;\n"
      "        add_header Retry-After 60 always;\n        return 503 \"{}\";\n    }}\n}}\n",
      socket_path, quoted(page));
  return text;
}

void maintenance(Host& host, bool on, const std::optional<std::string>& page, const std::string& command, Milliseconds lock_wait, const Limits& limits) {
  Transaction transaction{host, command, {lock_wait}, limits};
  const auto current = serving(transaction.observed(), host.project());
  const auto& environment = host.environment();
  const auto* proxy = current ? current->service(environment.proxy.service) : nullptr;
  if (proxy == nullptr || proxy->members.empty()) {
    throw Failure{Exit::failed, "there is no proxy that could answer instead of the application",
                  "proxy: {service: nginx, upstreams: /etc/nginx/upstreams} in codops.yaml, and deploy"};
  }
  const auto& container = proxy->members.front().container;
  RunContext context{host.api(), host.store(), host.reporter(), host.clock()};
  context.proxy = {environment.proxy.service, environment.proxy.upstreams, false};
  const auto text = on ? maintenance_file(current->upstreams, page.value_or(default_page)) : current->upstreams;
  // Known before it is done: a deploy that finds it tells that its switch ends the maintenance.
  if (on) host.store().write({{maintenance_path, nlohmann::json{{"format", 1}, {"on", true}}.dump()}}, limits);
  try {
    switch_upstreams(context, container, text, {}, limits);
  } catch (...) {
    write_upstreams(context, container, current->upstreams, Limits{}.within(Milliseconds{10'000}));
    if (on) host.store().remove({maintenance_path}, Limits{}.within(Milliseconds{10'000}));
    throw;
  }
  if (!on) host.store().remove({maintenance_path}, limits);
}

}  // namespace codops::ops

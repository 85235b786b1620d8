#include "lib/ops/maintenance.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/io/crypto.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/transaction.hpp"
#include "lib/ops/upstreams.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops {
namespace {

constexpr const char* socket_path = "/tmp/codops-maintenance.sock";
constexpr std::string_view first_line = "# Written by codops: maintenance is on. The same command with \"off\" brings the application back.\n";
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

// `file`: what the proxy's upstream file holds then; empty: it is being changed.
target::StateStore::File maintenance_record(const std::string& file) {
  nlohmann::json json{{"format", 1}, {"on", true}, {"settled", !file.empty()}};
  if (!file.empty()) json["file"] = io::sha256_hex(file);
  return {maintenance_path, json.dump()};
}

constexpr Milliseconds time_to_turn_back{10'000};

const release::ServiceRecord* front_of(const Host& host, const std::optional<release::Release>& current) {
  const auto* proxy = current ? current->service(host.environment().proxy.service) : nullptr;
  return proxy == nullptr || proxy->members.empty() ? nullptr : proxy;
}

// Where the proxy does not run the file is all that can be had; its next start reads it.
void lead_to_application(RunContext& context, const Observed& observed, const release::Release& current, const std::string& proxy, const Limits& limits) {
  const auto* container = observed.container(proxy);
  if (container == nullptr) return;
  context.require_lock();
  if (container->running()) switch_upstreams(context, proxy, current.upstreams, {}, limits);
  else put_upstreams(context, proxy, current.upstreams, limits);
}

release::HistoryEntry maintenance_entry(bool on, const std::optional<release::Release>& current) {
  release::HistoryEntry entry;
  entry.action = on ? "maintenance on" : "maintenance off";
  entry.result = "done";  // not "ok": it made no release
  entry.release = current ? current->number : 0;
  entry.version = current ? current->version : std::string{};
  return entry;
}

}  // namespace

target::StateStore::File maintenance_off() { return {maintenance_path, nlohmann::json{{"format", 1}, {"on", false}, {"settled", true}}.dump()}; }

std::string maintenance_drift(const Observed& observed, const release::Release& release) {
  const auto& snapshot = observed.snapshot;
  if (!snapshot.maintenance_settled) return "a maintenance command died half way: the next changing command, or codops resume, leads the front to the application";
  if (!observed.upstreams || release.upstreams.empty()) return {};
  if (!snapshot.maintenance) {
    return observed.upstreams->starts_with(first_line) ? "the front shows the maintenance page, and by record no maintenance is on" : "";
  }
  const bool as_recorded = snapshot.maintenance_file.empty() ? observed.upstreams->starts_with(first_line) : io::sha256_hex(*observed.upstreams) == snapshot.maintenance_file;
  if (as_recorded) return {};
  if (effective(*observed.upstreams) == effective(release.upstreams)) return "maintenance is on by record, and the front leads to the application";
  return "maintenance is on by record, and the proxy's upstream file is neither its page nor the application's";
}

std::string maintenance_file(const std::string& upstreams, const std::string& page) {
  std::string text{first_line};
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
  const auto& observed = transaction.observed();
  const auto& name = host.environment().name;
  const auto current = serving(observed, host.project());
  const auto* proxy = front_of(host, current);
  const auto* front = proxy == nullptr ? nullptr : observed.container(proxy->members.front().container);
  if (on && (front == nullptr || !front->running())) {
    throw Failure{Exit::failed, front == nullptr ? "there is no proxy that could answer instead of the application" : fmt::format("the proxy {} does not run", front->name),
                  front == nullptr ? "proxy: {service: nginx, upstreams: /etc/nginx/upstreams} in codops.yaml, and deploy" : fmt::format("nothing was changed; codops deploy {} {}", name, current->version)};
  }
  if (!on && proxy == nullptr && !observed.snapshot.maintenance) {
    throw Failure{Exit::failed, "there is no proxy that could answer instead of the application", "nothing was changed; proxy: {service: nginx, upstreams: /etc/nginx/upstreams} in codops.yaml, and deploy"};
  }
  auto context = transaction.context(current.value_or(release::Release{}), current, Desired{});
  const plan::Faults faults;
  const auto text = on ? maintenance_file(current->upstreams, page.value_or(default_page)) : std::string{};
  // Known before it is done: whoever finds it leads the front to the application again.
  transaction.write_whole({maintenance_record({})}, limits);
  faults.at("before", "maintenance");
  try {
    if (on) switch_upstreams(context, front->name, text, {}, limits);
    else if (proxy != nullptr) lead_to_application(context, observed, *current, proxy->members.front().container, limits);
    faults.at("after", "maintenance");
  } catch (const Failure& failure) {
    if (failure.code() == Exit::locked) throw;
    const auto hint = fmt::format("codops maintenance {} {} tries again; until then the next changing command, or codops resume {}, leads the front to the application", name, on ? "on" : "off", name);
    if (!on) throw Failure{failure.code(), failure.message(), failure.hint().empty() ? hint : failure.hint() + "; " + hint};
    const auto back = Limits{}.within(time_to_turn_back);
    try {
      lead_to_application(context, observed, *current, front->name, back);
    } catch (const Failure& again) {
      // What nginx refuses it did not read: it still has what it had, and the file has that too by now.
      if (again.code() != Exit::config || failure.code() != Exit::config) throw Failure{failure.code(), failure.message() + "; and back: " + again.message(), hint};
    }
    transaction.write({maintenance_off()}, back);
    throw Failure{failure.code(), failure.message(), failure.hint().empty() ? "the application answers as before" : "the application answers as before; " + failure.hint()};
  }
  transaction.record(maintenance_entry(on, current), Limits{}.within(time_to_turn_back), {on ? maintenance_record(text) : maintenance_off()});
}

void Transaction::settle_maintenance(const Limits& limits) {
  if (observed_.snapshot.maintenance_settled) return;
  const auto current = serving(observed_, host_.project());
  try {
    if (const auto* proxy = front_of(host_, current); proxy != nullptr) {
      auto run_context = context(*current, current, Desired{});
      lead_to_application(run_context, observed_, *current, proxy->members.front().container, limits);
    }
    record(maintenance_entry(false, current), limits, {maintenance_off()});
  } catch (const Failure& failure) {
    if (failure.code() != Exit::config && failure.code() != Exit::failed) throw;
    // `down` and repairs must not wait for it; what leads traffic elsewhere is refused while it is so.
    host_.reporter().warn(fmt::format("a maintenance command died half way, and the front could not be led to the application: {}", failure.message()));
    return;
  }
  recovery_.text += fmt::format("{}led the front to the application: a maintenance command had died half way", recovery_.text.empty() ? "" : "; ");
  recovery_.needed = true;
  host_.reporter().note("a maintenance command had died half way: the front leads to the application");
  observe_again(limits);
}

}  // namespace codops::ops

#include "lib/store/lock_text.hpp"

#include <nlohmann/json.hpp>

namespace codops::store {

LockText new_lock_text(WallTime now) {
  LockText text;
  text.process = this_process();
  text.holder.host = host_name();
  text.holder.pid = text.process.pid;
  text.holder.since = text.renewed = now;
  return text;
}

std::string to_json(const LockText& text) {
  nlohmann::json json{{"host", text.holder.host}, {"pid", text.process.pid}, {"start_time", text.process.start_time}, {"boot_id", text.process.boot_id},
                      {"pid_namespace", text.process.pid_namespace}, {"token", text.token}};
  if (text.holder.since) json["since"] = to_rfc3339(*text.holder.since);
  if (text.renewed) json["renewed"] = to_rfc3339(*text.renewed);
  return json.dump();
}

LockText parse_lock_text(const std::string& text) try {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  LockText found;
  if (!json.is_object()) return {};
  found.process = {json.value("boot_id", ""), json.value("pid_namespace", ""), json.value("pid", std::int64_t{}), json.value("start_time", std::uint64_t{})};
  found.token = json.value("token", "");
  found.holder.host = json.value("host", "");
  found.holder.pid = found.process.pid;
  found.holder.since = parse_rfc3339(json.value("since", ""));
  found.renewed = parse_rfc3339(json.value("renewed", json.value("since", "")));
  return found;
} catch (const nlohmann::json::exception&) {
  return {};
}

}  // namespace codops::store

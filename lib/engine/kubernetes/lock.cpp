#include "lib/engine/kubernetes/lock.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/object_name.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

constexpr const char* owner_annotation = "codops.lock/owner";
// For people and other tools; codops judges by its own rule (lib/release/lock).
constexpr int lease_seconds = 30;

std::string lease_owner_text(const target::LockOwner& owner) {
  return json{{"owner", owner.owner},     {"host", owner.host}, {"command", owner.command},      {"boot_id", owner.boot_id},
              {"pid_namespace", owner.pid_namespace}, {"pid", owner.pid},   {"start_time", owner.start_time}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

target::LockOwner lease_owner(const json& lease) {
  target::LockOwner owner;
  const auto value = json::parse(text_at(lease, {"metadata", "annotations", owner_annotation}), nullptr, false);
  owner.owner = text_at(value, {"owner"});
  owner.host = text_at(value, {"host"});
  owner.command = text_at(value, {"command"});
  owner.boot_id = text_at(value, {"boot_id"});
  owner.pid_namespace = text_at(value, {"pid_namespace"});
  owner.pid = number_at(value, {"pid"});
  owner.start_time = static_cast<std::uint64_t>(number_at(value, {"start_time"}));
  // Made by another hand: at least whom it names.
  if (owner.owner.empty()) owner.owner = text_at(lease, {"spec", "holderIdentity"});
  if (const auto created = time_at(lease, {"metadata", "creationTimestamp"})) owner.since = *created;
  return owner;
}

// A MicroTime: always with six digits.
std::string micro_time(WallTime time) {
  const auto text = to_rfc3339(time);
  return text.substr(0, text.size() - 1) + "000Z";
}

}  // namespace

LeaseLock::LeaseLock(Api& api, std::string namespace_, const std::string& project, std::string_view purpose)
    : api_{api}, namespace_{std::move(namespace_)}, name_{fmt::format("codops-{}-{}", dns_label(project), purpose)}, store_{api, this->namespace_, project} {}

std::optional<std::string> LeaseLock::try_create(const target::LockOwner& owner, const Limits& limits) {
  const json lease{{"apiVersion", "coordination.k8s.io/v1"},
                   {"kind", "Lease"},
                   {"metadata", {{"name", name_}, {"namespace", namespace_}, {"labels", {{"codops.role", "lock"}}}, {"annotations", {{owner_annotation, lease_owner_text(owner)}}}}},
                   {"spec", {{"holderIdentity", fmt::format("{} on {} (pid {})", owner.owner, owner.host, owner.pid)}, {"leaseDurationSeconds", lease_seconds}}}};
  try {
    return text_at(api_.create(lease, limits), {"metadata", "uid"});
  } catch (const ApiError& error) {
    if (error.already_exists()) return std::nullopt;
    throw;
  }
}

std::optional<target::LockState> LeaseLock::inspect(const Limits& limits) {
  const Resource leases = well_known_resource("coordination.k8s.io/v1", "Lease").value();
  const auto response = api_.client().call({.path = leases.path(namespace_, name_), .what = "read the lock", .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  const auto lease = json::parse(response.body, nullptr, false);
  const auto now = parse_http_date(response.header("date"));
  if (!now) throw Failure{Exit::unavailable, fmt::format("{} sends no Date", api_.client().connection().server.name)};
  target::LockState state;
  state.token = text_at(lease, {"metadata", "uid"});
  state.owner = lease_owner(lease);
  state.heartbeat = time_at(lease, {"spec", "renewTime"});
  state.engine_now = *now;
  return state;
}

bool LeaseLock::heartbeat(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) {
  auto& client = api_.client();
  // To the second, as the Date headers are: nobody sees a heartbeat of the future.
  const auto reckoned = client.server_now();
  const auto now = std::chrono::floor<std::chrono::seconds>(reckoned ? *reckoned : client.ask_server_now(limits));
  const Resource leases = well_known_resource("coordination.k8s.io/v1", "Lease").value();
  // Another uid than that of the Lease is refused: 409, or 422 for what is found by name and is another one.
  const auto response = client.call({.method = "PATCH",
                                     .path = leases.path(namespace_, name_),
                                     .query = {{"fieldManager", std::string{field_manager}}},
                                     .body = json{{"metadata", {{"uid", token}}}, {"spec", {{"renewTime", micro_time(now)}}}}.dump(),
                                     .content_type = "application/merge-patch+json",
                                     .what = "renew the lock",
                                     .repeatable = true,
                                     .expected = {404, 409, 422}},
                                    limits);
  if (response.status == 422 && response.body.find("metadata.uid") == std::string::npos) throw api_error(response.status, response.body, "renew the lock");
  if (response.status >= 400) return false;
  if (!files.empty()) store_.write(files, limits.within(std::chrono::seconds{lease_seconds} / 2));
  return true;
}

void LeaseLock::remove(const std::string& token, const Limits& limits) {
  api_.remove({"coordination.k8s.io/v1", "Lease", namespace_, name_}, {.uid = token}, limits);
}

}  // namespace codops::engine::kubernetes

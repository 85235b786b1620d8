#include "lib/ops/carried_volumes.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/sole_writer.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using engine::docker::ContainerDetails;
using release::Role;
using release::ServiceRecord;

constexpr std::size_t length_of_given_name = 64;

bool is_member(const ServiceRecord* service, const std::string& container) {
  return service != nullptr && std::any_of(service->members.begin(), service->members.end(), [&](const auto& member) { return member.container == container; });
}

std::optional<ContainerDetails> predecessor_of(RunContext& context, const ServiceRecord& service, const std::string& made, const Limits& limits) {
  const auto* serving = context.current ? context.current->service(service.name) : nullptr;
  std::optional<ContainerDetails> best;
  const auto rank = [&](const ContainerDetails& one) { return std::pair{is_member(serving, one.name), one.created.value_or(WallTime{})}; };
  const std::vector<std::string> labels{"com.docker.compose.project=" + context.project, "com.docker.compose.service=" + service.name, "com.docker.compose.oneoff=False"};
  for (const auto& summary : context.api.containers({{"label", labels}}, true, limits)) {
    if (summary.name == made) continue;
    auto details = context.api.find_container(summary.id, limits);
    if (details && (!best || rank(*details) > rank(*best))) best = std::move(details);
  }
  return best;
}

std::set<std::string> keys_of(const Json& value) {
  std::set<std::string> keys;
  if (value.is_object()) {
    for (const auto& [key, ignored] : value.items()) keys.insert(key);
  }
  return keys;
}

Json volumes_of_image(RunContext& context, const std::string& image, const Limits& limits) {
  const auto details = context.api.find_image(image, limits);
  if (!details || !details->raw || !details->raw->contains("Config")) return {};
  const auto& config = details->raw->at("Config");
  return config.is_object() ? config.value("Volumes", Json{}) : Json{};
}

}  // namespace

bool is_unnamed(const ObservedMount& mount) {
  return mount.volume && mount.source.size() == length_of_given_name && mount.source.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool keeps_unnamed(Role role) { return role == Role::stateful || role == Role::exclusive || role == Role::proxy; }

void carry_volumes(RunContext& context, const ServiceRecord& service, const release::Member& member, Json& body, const Limits& limits) {
  if (!keeps_unnamed(service.role)) return;
  auto wanted = keys_of(volumes_of_image(context, body.at("Image").get<std::string>(), limits));
  wanted.merge(keys_of(body.value("Volumes", Json{})));
  for (const auto& mount : mounts_of(body)) wanted.erase(mount.destination);
  for (const auto& target : keys_of(body.at("HostConfig").value("Tmpfs", Json{}))) wanted.erase(target);
  if (wanted.empty()) return;
  const auto before = predecessor_of(context, service, member.container, limits);
  if (!before) return;
  for (const auto& mount : before->mounts) {
    if (mount.type != "volume" || !wanted.contains(mount.destination)) continue;
    body["HostConfig"]["Mounts"].push_back({{"Type", "volume"}, {"Source", mount.name}, {"Target", mount.destination}, {"ReadOnly", !mount.writable}});
    if (body.contains("Volumes") && body.at("Volumes").is_object()) body["Volumes"].erase(mount.destination);
  }
}

void note_carried(plan::Plan& plan, const std::optional<release::Release>& current, const release::Release& next, const Observed& observed) {
  if (!current) return;
  for (const auto& service : next.services) {
    const auto* was = current->service(service.name);
    if (was == nullptr || !keeps_unnamed(service.role)) continue;
    const bool anew = std::any_of(service.members.begin(), service.members.end(), [&](const auto& member) { return observed.container(member.container) == nullptr; });
    if (!anew) continue;
    for (const auto& member : was->members) {
      const auto* container = observed.container(member.container);
      if (container == nullptr) continue;
      for (const auto& mount : container->mounts) {
        if (is_unnamed(mount) && !is_folder_of_files(*was, mount.destination)) plan.notes.push_back(fmt::format("{} keeps {} in a volume without a name, which goes over to its new container; volumes: in the compose file names it", service.name, mount.destination));
      }
    }
  }
}

}  // namespace codops::ops

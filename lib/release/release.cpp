#include "lib/release/release.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/plan/plan.hpp"
#include "lib/text/utf8.hpp"

namespace codops::release {
namespace {

using Json = nlohmann::json;

constexpr int format_version = 1;
constexpr std::array role_names{
    std::pair{Role::stateless, std::string_view{"stateless"}}, std::pair{Role::exclusive, std::string_view{"exclusive"}},
    std::pair{Role::stateful, std::string_view{"stateful"}},   std::pair{Role::one_shot, std::string_view{"one-shot"}},
    std::pair{Role::proxy, std::string_view{"proxy"}}};

Role role_from(std::string_view name) {
  for (const auto& [role, text] : role_names) {
    if (text == name) return role;
  }
  throw Failure{Exit::data, fmt::format("unknown role \"{}\" in a stored release", name)};
}

WallTime time_from(const Json& json) {
  const auto time = parse_rfc3339(json.get<std::string>());
  if (!time) throw Failure{Exit::data, fmt::format("\"{}\" is no time", json.get<std::string>())};
  return *time;
}

void check_format(const Json& json, std::string_view what) {
  if (const int format = json.at("format"); format > format_version) {
    throw plan::NewerFormat{what, format, format_version};
  }
}

Json service_to_json(const ServiceRecord& service) {
  Json members = Json::array();
  for (const auto& member : service.members) {
    members.push_back({{"container", member.container}, {"address", member.address}, {"number", member.number}});
  }
  Json files = Json::array();
  for (const auto& file : service.files) {
    files.push_back({{"target", file.target}, {"sha256", file.sha256}, {"mode", file.mode}, {"uid", file.uid}, {"gid", file.gid}, {"secret", file.secret}});
    if (file.mounted) files.back()["mounted"] = true;
    if (file.link) files.back()["link"] = true;
  }
  Json json{{"name", service.name},
          {"role", to_string(service.role)},
          {"image", service.image},
          {"image_id", service.image_id},
          {"digest", service.digest},
          {"hash", service.hash},
          {"has_spec", service.has_spec},
          {"networks", service.networks.empty() ? Json::object() : Json::parse(service.networks)},
          {"files", std::move(files)},
          {"aliases", service.aliases},
          {"depends_on", service.depends_on},
          {"ready", service.ready.empty() ? Json::object() : Json::parse(service.ready)},
          {"port", service.port},
          {"sticky", service.sticky},
          {"led", service.led},
          {"replicas", service.replicas},
          {"configured_replicas", service.configured_replicas},
          {"stop_grace_seconds", service.stop_grace_seconds},
          {"restart", service.restart},
          {"set", service.set},
          {"members", std::move(members)}};
  if (service.limits) json["limits"] = *service.limits;
  return json;
}

ServiceRecord service_from_json(const Json& json) {
  ServiceRecord service;
  service.name = json.at("name");
  service.role = role_from(json.at("role").get<std::string>());
  service.image = json.at("image");
  service.image_id = json.at("image_id");
  service.digest = json.at("digest");
  service.hash = json.at("hash");
  service.has_spec = json.at("has_spec");
  service.networks = json.at("networks").dump();
  service.aliases = json.at("aliases");
  service.depends_on = json.at("depends_on");
  service.ready = json.at("ready").dump();
  service.port = json.at("port");
  service.sticky = json.value("sticky", false);
  service.led = json.value("led", false);
  service.replicas = json.at("replicas");
  service.configured_replicas = json.at("configured_replicas");
  service.stop_grace_seconds = json.at("stop_grace_seconds");
  service.restart = json.at("restart");
  if (json.contains("limits")) service.limits = json.at("limits").get<std::map<std::string, std::string>>();
  service.set = json.at("set");
  for (const auto& member : json.at("members")) {
    service.members.push_back({member.at("container"), member.at("address"), member.at("number")});
  }
  for (const auto& file : json.at("files")) {
    const std::string target = file.at("target");
    // Releases of before this was recorded: by where compose puts secrets.
    const bool secret = file.value("secret", target.starts_with("/run/secrets/"));
    service.files.push_back({target, file.at("sha256"), file.at("mode"), file.at("uid"), file.at("gid"), secret, file.value("mounted", false), file.value("link", false)});
  }
  return service;
}

Json unsealed(const HistoryEntry& entry) {
  return {{"format", format_version},
          {"number", entry.number},
          {"action", entry.action},
          {"release", entry.release},
          {"from", entry.from},
          {"version", entry.version},
          {"from_version", entry.from_version},
          {"started", to_rfc3339(entry.started)},
          {"ended", to_rfc3339(entry.ended)},
          {"by", entry.by},
          {"host", entry.host},
          {"result", entry.result},
          {"exit", entry.exit},
          {"message", text::replace_invalid_utf8(entry.message)},
          {"failed_step", entry.failed_step},
          {"run", entry.run},
          {"previous", entry.previous}};
}

std::string hash_of(const HistoryEntry& entry) { return io::sha256_hex(unsealed(entry).dump()); }

}  // namespace

std::string_view to_string(Role role) {
  for (const auto& [value, text] : role_names) {
    if (value == role) return text;
  }
  return "stateless";
}

const ServiceRecord* Release::service(const std::string& name) const {
  for (const auto& candidate : services) {
    if (candidate.name == name) return &candidate;
  }
  return nullptr;
}

std::string to_json(const Release& release) {
  Json services = Json::array();
  for (const auto& service : release.services) services.push_back(service_to_json(service));
  Json json{{"format", format_version},
            {"number", release.number},
            {"version", release.version},
            {"environment", release.environment},
            {"project", release.project},
            {"by", release.by},
            {"host", release.host},
            {"commit", release.commit},
            {"created", to_rfc3339(release.created)},
            {"config_hash", release.config_hash},
            {"services", std::move(services)},
            {"migrations", release.migrations},
            {"upstreams", release.upstreams},
            {"adopted", release.adopted}};
  if (!release.definitions.empty()) json["definitions"] = release.definitions;
  return json.dump();
}

Release release_from_json(const std::string& text) {
  try {
    const auto json = Json::parse(text);
    check_format(json, "a stored release");
    Release release;
    release.number = json.at("number");
    release.version = json.at("version");
    release.environment = json.at("environment");
    release.project = json.at("project");
    release.by = json.at("by");
    release.host = json.at("host");
    release.commit = json.at("commit");
    release.created = time_from(json.at("created"));
    release.config_hash = json.at("config_hash");
    for (const auto& service : json.at("services")) release.services.push_back(service_from_json(service));
    release.migrations = json.at("migrations");
    release.upstreams = json.at("upstreams");
    release.adopted = json.at("adopted");
    release.definitions = json.value("definitions", Definitions{});
    return release;
  } catch (const Json::exception& error) {
    throw Failure{Exit::data, fmt::format("a stored release can't be read: {}", error.what())};
  }
}

std::string to_json(const HistoryEntry& entry) {
  auto json = unsealed(entry);
  json["hash"] = entry.hash;
  return json.dump();
}

HistoryEntry history_from_json(const std::string& text) {
  try {
    const auto json = Json::parse(text);
    check_format(json, "a history entry");
    HistoryEntry entry;
    entry.number = json.at("number");
    entry.action = json.at("action");
    entry.release = json.at("release");
    entry.from = json.at("from");
    entry.version = json.at("version");
    entry.from_version = json.at("from_version");
    entry.started = time_from(json.at("started"));
    entry.ended = time_from(json.at("ended"));
    entry.by = json.at("by");
    entry.host = json.at("host");
    entry.result = json.at("result");
    entry.exit = json.at("exit");
    entry.message = json.at("message");
    entry.failed_step = json.at("failed_step");
    entry.run = json.at("run");
    entry.previous = json.at("previous");
    entry.hash = json.at("hash");
    return entry;
  } catch (const Json::exception& error) {
    throw Failure{Exit::data, fmt::format("a history entry can't be read: {}", error.what())};
  }
}

void seal(HistoryEntry& entry, const std::string& previous_hash) {
  entry.previous = previous_hash;
  entry.hash = hash_of(entry);
}

std::vector<int> broken_links(const std::vector<HistoryEntry>& history) {
  std::vector<int> broken;
  for (std::size_t index = 0; index < history.size(); ++index) {
    const auto& entry = history[index];
    const bool chained = index == 0 || entry.previous == history[index - 1].hash;
    if (!chained || entry.hash != hash_of(entry)) broken.push_back(entry.number);
  }
  return broken;
}

}  // namespace codops::release

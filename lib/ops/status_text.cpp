#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/ops/status.hpp"

namespace codops::ops {
namespace {

std::string health_word(const ServiceStatus& service) {
  if (service.running < service.wanted) return service.running == 0 ? "down" : "degraded";
  if (service.healthy < service.wanted) return "unhealthy";
  if (service.role == release::Role::one_shot) return "done";
  return service.has_health ? "healthy" : "running";
}

std::string up_text(const std::optional<Milliseconds>& up) {
  if (!up) return "-";
  auto text = format_age(*up);
  return text.substr(0, text.size() - 4);  // without " ago"
}

std::string short_image(const ServiceStatus& service) {
  auto name = service.image;
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  const auto colon = service.image_id.find(':');
  return fmt::format("{}  {}…", name, service.image_id.substr(colon + 1, 4));
}

// A run that is under way, or died, is no news about what serves.
std::string health_word(const Status& status) {
  if (!status.serves_well()) return "UNHEALTHY";
  if (!status.unfinished) return "healthy";
  return status.running ? "healthy, a run is under way" : "healthy, a run is unfinished";
}

}  // namespace

std::string text(const Status& status) {
  if (!status.release) {
    auto out = fmt::format("{}  nothing is deployed    {}\n", status.environment, status.engine);
    if (status.unfinished) out += fmt::format("  unfinished  {}: codops resume {}\n", *status.unfinished, status.environment);
    return out + fmt::format("  codops deploy {} VERSION\n", status.environment);
  }
  const auto& release = *status.release;
  auto out = fmt::format("{}  {}  release {}  {}", status.environment, release.version, release.number, health_word(status));
  if (status.last) out += fmt::format("   since {}, by {}", format_age(status.now - status.last->ended), status.last->by);
  out += fmt::format("   {}\n", status.engine);
  std::size_t name_width = 7;
  std::size_t image_width = 5;
  for (const auto& service : status.services) {
    name_width = std::max(name_width, service.name.size());
    image_width = std::max(image_width, short_image(service).size() - 2);
  }
  out += fmt::format("  {:<{}}  {:<8}  {:<9}  {:<{}}  {:<8}  PORTS\n", "SERVICE", name_width, "REPLICAS", "HEALTH", "IMAGE", image_width, "UP");
  for (const auto& service : status.services) {
    auto image = short_image(service);
    image.append(image_width + 2 - std::min(image.size(), image_width + 2), ' ');
    auto line = fmt::format("  {:<{}}  {:<8}  {:<9}  {}  {:<8}  {}", service.name, name_width, fmt::format("{}/{}", service.running, service.wanted),
                            health_word(service), image, up_text(service.up), fmt::join(service.ports, " "));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  if (status.maintenance) out += fmt::format("  maintenance is on: the front answers 503 (codops maintenance {} off)\n", status.environment);
  if (status.running) out += fmt::format("  running     {}\n", *status.running);
  if (status.unfinished && !status.running) out += fmt::format("  unfinished  {}: codops resume {} or abort\n", *status.unfinished, status.environment);
  const char* heading = "drift";
  for (const auto& line : status.drift) {
    out += fmt::format("  {:<10}  {}\n", heading, line);
    heading = "";
  }
  if (!status.drift.empty() && status.maintenance && !status.running) {
    out += fmt::format("  to mend it  codops maintenance {} off; what is drift then, a deploy mends\n", status.environment);
  } else if (!status.drift.empty() && !status.running && !status.unfinished && release.version.find(' ') == std::string::npos) {
    out += fmt::format("  to mend it  codops deploy {} {}\n", status.environment, release.version);
  }
  heading = "drift";
  for (const auto& line : status.by_hand) {
    out += fmt::format("  {:<10}  {}\n", heading, line);
    heading = "";
  }
  for (const auto& line : status.left_running) out += fmt::format("  left up     {}\n", line);
  for (const auto& path : status.damaged) out += fmt::format("  damaged     {} in the state on the engine can't be read\n", path);
  if (!status.altered_history.empty()) out += fmt::format("  altered     history entries {}, or those before them: not by codops\n", fmt::join(status.altered_history, ", "));
  if (!status.damaged.empty() || !status.altered_history.empty()) {
    out += fmt::format("              what serves does not hang on it, and no deploy mends records: codops history {} shows what can be told\n", status.environment);
  }
  return out;
}

std::string json(const Status& status) {
  nlohmann::ordered_json out;
  out["exit"] = status.healthy() ? 0 : 2;
  out["environment"] = status.environment;
  out["engine"] = status.engine;
  out["healthy"] = status.healthy();
  if (status.release) {
    out["release"] = status.release->number;
    out["version"] = status.release->version;
    out["adopted"] = status.release->adopted;
  } else {
    out["release"] = nullptr;
  }
  if (status.last) {
    out["since"] = to_rfc3339(status.last->ended);
    out["by"] = status.last->by;
  }
  out["services"] = nlohmann::ordered_json::array();
  for (const auto& service : status.services) {
    nlohmann::ordered_json one{{"name", service.name},       {"role", to_string(service.role)}, {"wanted", service.wanted},
                               {"running", service.running}, {"healthy", service.healthy},      {"image", service.image},
                               {"image_id", service.image_id}, {"ports", service.ports}};
    if (service.up) one["up_seconds"] = service.up->count() / 1000;
    out["services"].push_back(std::move(one));
  }
  out["maintenance"] = status.maintenance;
  out["drift"] = status.drift;
  for (const auto& line : status.by_hand) out["drift"].push_back(line);
  out["left_running"] = status.left_running;
  out["unfinished"] = status.unfinished ? nlohmann::ordered_json(*status.unfinished) : nlohmann::ordered_json();
  out["lock"] = status.running ? nlohmann::ordered_json(*status.running) : nlohmann::ordered_json();
  out["damaged"] = status.damaged;
  out["altered_history"] = status.altered_history;
  return out.dump();
}

}  // namespace codops::ops

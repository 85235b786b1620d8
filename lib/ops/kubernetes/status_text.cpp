// What `codops status` prints.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/kube/images.hpp"
#include "lib/ops/kubernetes/status.hpp"

namespace codops::ops::kubernetes {
namespace {

std::string health_word(const kube::WorkloadSummary& workload) {
  if (workload.healthy) return "healthy";
  if (workload.paused) return "paused";
  return workload.ready == 0 && workload.desired > 0 ? "down" : workload.ready < workload.desired ? "degraded" : "rolling";
}

std::string short_image(const std::string& image) {
  const auto parts = kube::parse_image(image);
  auto name = parts.repository;
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  if (!parts.tag.empty()) name += ":" + parts.tag;
  if (!parts.digest.empty()) name += "  " + parts.digest.substr(parts.digest.find(':') + 1, 4) + "…";
  return name;
}

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string abandoned_text(const Status& status) {
  std::string out;
  for (const auto& job : status.abandoned) {
    const auto slash = job.find('/');
    out += fmt::format("  left        the run in job {} goes on, nobody waits for it: kubectl -n {} delete job {}\n", job.substr(slash + 1), job.substr(0, slash), job.substr(slash + 1));
  }
  return out;
}

}  // namespace

std::string text(const Status& status) {
  if (!status.release) {
    auto out = fmt::format("{}  nothing is deployed    {}\n", status.environment, status.engine);
    if (status.running) out += fmt::format("  running     {}\n", *status.running);
    else if (status.unfinished) out += fmt::format("  unfinished  {}: codops resume {}\n", *status.unfinished, status.environment);
    return out + abandoned_text(status) + fmt::format("  codops deploy {} VERSION\n", status.environment);
  }
  const auto& release = *status.release;
  auto out = fmt::format("{}  {}  release {}  {}", status.environment, release.version, release.number, status.healthy() ? "healthy" : "UNHEALTHY");
  if (status.last) out += fmt::format("   since {}, by {}", format_age(status.now - status.last->ended), status.last->by);
  out += fmt::format("\n  {}\n", status.engine);
  std::size_t name_width = 8;
  std::size_t image_width = 5;
  for (const auto& workload : status.workloads) {
    name_width = std::max(name_width, workload.ref.text().size());
    for (const auto& image : workload.images) image_width = std::max(image_width, columns(short_image(image)));
  }
  out += fmt::format("  {:<{}}  {:<8}  {:<9}  {:<{}}  UP\n", "WORKLOAD", name_width, "READY", "HEALTH", "IMAGE", image_width);
  for (const auto& workload : status.workloads) {
    auto image = workload.images.empty() ? std::string{"-"} : short_image(workload.images.front());
    image.append(image_width - std::min(columns(image), image_width), ' ');
    std::string up{"-"};
    if (const auto since = parse_rfc3339(workload.since)) {
      up = format_age(status.now - *since);
      if (up.ends_with(" ago")) up.erase(up.size() - 4);
    }
    out += fmt::format("  {:<{}}  {:<8}  {:<9}  {}  {}\n", workload.ref.text(), name_width, fmt::format("{}/{}", workload.ready, workload.desired), health_word(workload), image, up);
    for (const auto& why : workload.why) out += fmt::format("  {:<{}}  ! {}\n", "", name_width, why);
  }
  for (const auto& line : status.unreached) out += fmt::format("  unreached   {}\n", line);
  if (status.running) out += fmt::format("  running     {}\n", *status.running);
  if (status.unfinished && !status.running) out += fmt::format("  unfinished  {}: codops resume {} or abort\n", *status.unfinished, status.environment);
  out += abandoned_text(status);
  const char* heading = "drift";
  for (const auto& line : status.drift) {
    out += fmt::format("  {:<10}  {}\n", heading, line);
    heading = "";
  }
  for (const auto& path : status.damaged) out += fmt::format("  damaged     {} in the state in the cluster can't be read\n", path);
  if (!status.altered_history.empty()) out += fmt::format("  altered     history entries {}, or those before them: not by codops\n", fmt::join(status.altered_history, ", "));
  return out;
}

std::string json(const Status& status) {
  using Ordered = nlohmann::ordered_json;
  Ordered out;
  out["exit"] = status.healthy() ? 0 : 2;
  out["environment"] = status.environment;
  out["engine"] = status.engine;
  out["healthy"] = status.healthy();
  out["release"] = status.release ? Ordered(status.release->number) : Ordered();
  if (status.release) out["version"] = status.release->version;
  if (status.last) {
    out["since"] = to_rfc3339(status.last->ended);
    out["by"] = status.last->by;
  }
  out["services"] = Ordered::array();
  for (const auto& workload : status.workloads) {
    Ordered one{{"name", workload.ref.name}, {"kind", workload.ref.kind}, {"namespace", workload.ref.namespace_}, {"wanted", workload.desired}, {"ready", workload.ready},
                {"updated", workload.updated}, {"available", workload.available}, {"healthy", workload.healthy}, {"images", workload.images}, {"why", workload.why},
                {"pods", Ordered::array()}};
    for (const auto& pod : workload.pods) {
      one["pods"].push_back({{"name", pod.name}, {"state", pod.state}, {"ready", pod.ready}, {"restarts", pod.restarts}, {"node", pod.node}, {"why", pod.why}});
    }
    out["services"].push_back(std::move(one));
  }
  out["unreached"] = status.unreached;
  out["drift"] = status.drift;
  out["unfinished"] = status.unfinished ? Ordered(*status.unfinished) : Ordered();
  out["abandoned"] = status.abandoned;
  out["lock"] = status.running ? Ordered(*status.running) : Ordered();
  out["damaged"] = status.damaged;
  out["altered_history"] = status.altered_history;
  return out.dump();
}

}  // namespace codops::ops::kubernetes

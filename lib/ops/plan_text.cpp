// The plan as people read it before they say yes.
#include <fmt/format.h>

#include "lib/ops/deploy.hpp"

namespace codops::ops {
namespace {

std::string short_id(const release::ServiceRecord& service) {
  const auto& id = service.digest.empty() ? service.image_id : service.digest;
  if (id.empty()) return "not on the engine yet";
  const auto colon = id.find(':');
  return id.substr(0, colon == std::string::npos ? 0 : colon + 1) + id.substr(colon == std::string::npos ? 0 : colon + 1, 12) + "…";
}

std::string what_of(const release::ServiceRecord& service, const release::ServiceRecord* current, int from) {
  if (current == nullptr) return "new";
  if (service.image_id == current->image_id) return fmt::format("as in release {}", from);
  return "changed";
}

std::string release_name(int number, const std::string& version) {
  return version.empty() ? fmt::format("release {}", number) : fmt::format("release {} ({})", number, version);
}

}  // namespace

std::string plan_text(const Host& host, const Planned& planned, const std::optional<release::Release>& current) {
  const auto& plan = planned.plan;
  auto text = fmt::format("{} · {} · {} → {}\n\n", plan.environment, host.shown(),
                          current ? release_name(current->number, current->version) : "nothing deployed",
                          release_name(plan.release, plan.version));
  std::size_t name_width = 0;
  std::size_t image_width = 0;
  for (const auto& service : planned.next.services) {
    name_width = std::max(name_width, service.name.size());
    image_width = std::max(image_width, service.image.size());
  }
  const char* heading = "images";
  for (const auto& service : planned.next.services) {
    const auto* before = current ? current->service(service.name) : nullptr;
    text += fmt::format("  {:<9} {:<{}}  {:<{}}  {}  {}\n", heading, service.name, name_width, service.image, image_width, short_id(service),
                        what_of(service, before, plan.from));
    heading = "";
  }
  heading = "config";
  for (const auto& service : planned.next.services) {
    const auto* before = current ? current->service(service.name) : nullptr;
    if (before == nullptr || before->hash.empty()) continue;
    std::string what;
    if (service.hash != before->hash && service.image_id == before->image_id) what = "definition, environment or files changed";
    else if (service.files != before->files) what = "files changed";
    if (what.empty()) continue;
    text += fmt::format("  {:<9} {:<{}}  ~ {}\n", heading, service.name, name_width, what);
    heading = "";
  }
  text += "\n" + plan::steps_text(plan) + "\n";
  for (const auto& note : plan.notes) text += fmt::format("  note: {}\n", note);
  for (const auto& warning : plan.warnings) text += fmt::format("  warning: {}\n", warning);
  for (const auto& reason : plan.downtime) text += fmt::format("  downtime: {}\n", reason);
  if (plan.downtime.empty() && plan.from != 0) {
    const bool has_proxy = std::any_of(planned.next.services.begin(), planned.next.services.end(), [](const auto& service) { return service.role == release::Role::proxy; });
    text += fmt::format("  {}Callers that use a service's name reach both sets until the old one stops.\n", has_proxy ? "What is behind the proxy loses no request. " : "");
  }
  return text;
}

}  // namespace codops::ops

#include "lib/kube/quota.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

// Of all containers of a pod together, in thousandths: "requests", "memory".
std::int64_t sum_of(const Json& spec, const char* which, const char* what) {
  std::int64_t sum = 0;
  for (const auto& container : spec.value("containers", Json::array())) {
    const auto text = text_in(container, fmt::format("/resources/{}/{}", which, what).c_str());
    if (const auto quantity = quantity_of(text)) sum += *quantity;
  }
  return sum;
}

std::int64_t need_of(const Json& spec, const std::string& resource) {
  if (resource == "pods" || resource == "count/pods") return 1000;
  for (const auto* what : {"cpu", "memory"}) {
    if (resource == what || resource == fmt::format("requests.{}", what)) return std::max(sum_of(spec, "requests", what), std::int64_t{0});
    if (resource == fmt::format("limits.{}", what)) return sum_of(spec, "limits", what);
  }
  return 0;
}

bool has_scope(const Object& quota) {
  const Json::json_pointer scopes{"/spec/scopes"}, selector{"/spec/scopeSelector"};
  return quota.json().contains(scopes) || quota.json().contains(selector);
}

}  // namespace

std::optional<std::int64_t> quantity_of(std::string_view text) {
  double number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  struct Unit {
    std::string_view name;
    double factor;
  };
  constexpr std::array units{Unit{"", 1}, Unit{"m", 1e-3}, Unit{"k", 1e3}, Unit{"M", 1e6}, Unit{"G", 1e9}, Unit{"T", 1e12}, Unit{"P", 1e15},
                             Unit{"Ki", 1024.}, Unit{"Mi", 1048576.}, Unit{"Gi", 1073741824.}, Unit{"Ti", 1099511627776.}, Unit{"Pi", 1125899906842624.}};
  for (const auto& one : units) {
    const auto value = number * one.factor * 1000;
    if (one.name == unit && std::abs(value) < 9e18) return static_cast<std::int64_t>(std::llround(value));
  }
  return std::nullopt;
}

std::vector<std::string> without_room(const std::vector<Object>& rolling, const std::vector<Object>& quotas) {
  std::vector<std::string> lines;
  for (const auto& workload : rolling) {
    const Json::json_pointer at{"/spec/template/spec"};
    if (workload.kind() != "Deployment" || !workload.json().contains(at)) continue;
    for (const auto& quota : quotas) {
      if (quota.namespace_() != workload.namespace_() || has_scope(quota)) continue;
      const auto status = quota.json().value("status", Json::object());
      const auto hard = status.value("hard", Json::object()), used = status.value("used", Json::object());
      for (const auto& [resource, most] : hard.items()) {
        const auto need = need_of(workload.json().at(at), resource);
        const auto limit = most.is_string() ? quantity_of(most.get<std::string>()) : std::nullopt;
        const auto taken = quantity_of(used.is_object() ? used.value(resource, "0") : "0");
        if (need == 0 || !limit || !taken || *taken + need <= *limit) continue;
        lines.push_back(fmt::format("{}: the ResourceQuota \"{}\" has no room for one more pod ({}: {} of {} used), and codops lets no old pod go before a new one is ready: raise the quota, or let one go first, in "
                                    "the manifest: strategy: {{rollingUpdate: {{maxUnavailable: 1}}}}",
                                    workload.ref().text(), quota.name(), resource, used.value(resource, "0"), most.get<std::string>()));
        break;
      }
    }
  }
  return lines;
}

}  // namespace codops::kube

// Server-side apply: one, many, and taking over what others applied.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/managed_fields.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

// Warning: 299 - "text" (RFC 7234, 5.5): the quoted part.
std::string warning_text(const std::string& header) {
  const auto open = header.find('"');
  const auto close = header.rfind('"');
  if (open == std::string::npos || close <= open) return header;
  std::string text;
  for (auto i = open + 1; i < close; ++i) {
    if (header[i] == '\\' && i + 1 < close) ++i;
    text += header[i];
  }
  return text;
}

constexpr int most_adoptions = 5;

}  // namespace

Applied Api::apply(const json& object, const ApplyOptions& options, const Limits& limits) {
  const auto ref = ref_of(object);
  Call call{.method = "PATCH",
            .path = path_of(ref, limits),
            .query = {{"fieldManager", options.manager}, {"force", options.force ? "true" : "false"}, {"fieldValidation", "Strict"}},
            .body = object.dump(),
            .content_type = "application/apply-patch+yaml",
            .what = "apply " + ref.text(),
            .repeatable = true};
  if (options.dry_run) call.query.emplace_back("dryRun", "All");
  const auto response = client_.call(call, limits);
  Applied applied;
  auto parsed = json::parse(response.body, nullptr, false);
  if (parsed.is_discarded()) throw Failure{Exit::unavailable, fmt::format("{}: the answer is not JSON", call.what)};
  applied.object = std::make_shared<const json>(std::move(parsed));
  applied.created = response.status == 201;
  const auto [first, last] = response.headers.equal_range("warning");
  for (auto header = first; header != last; ++header) applied.warnings.push_back(warning_text(header->second));
  return applied;
}

std::vector<ApplyOutcome> Api::apply_all(const std::vector<json>& objects, const ApplyOptions& options, const Limits& limits) {
  std::vector<ApplyOutcome> outcomes(objects.size());
  in_parallel(objects.size(), most_connections, [&](std::size_t i) {
    try {
      outcomes[i].applied = apply(objects[i], options, limits);
    } catch (...) {
      outcomes[i].failure = std::current_exception();
    }
  });
  return outcomes;
}

bool Api::adopt(const ObjectRef& object, const std::vector<std::string>& managers, const Limits& limits) {
  for (int attempt = 1;; ++attempt) {
    const auto live = get(object, limits);
    const auto fields = adopted_fields(live, managers, std::string{field_manager});
    if (!fields) return false;
    const auto patch_body = json::array({{{"op", "replace"}, {"path", "/metadata/managedFields"}, {"value", *fields}},
                                         {{"op", "replace"}, {"path", "/metadata/resourceVersion"}, {"value", text_at(live, {"metadata", "resourceVersion"})}}});
    try {
      patch(object, PatchKind::json, patch_body, limits);
      return true;
    } catch (const ApiError& error) {
      // Controllers write status all the time: what was read is no more the present.
      if (error.status() != 409 || attempt == most_adoptions) throw;
    }
  }
}

}  // namespace codops::engine::kubernetes

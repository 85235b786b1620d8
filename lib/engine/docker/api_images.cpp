#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/filters.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/json_lines.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;

// A registry or a build step may be slow, but not mute.
constexpr Milliseconds longest_silence{300'000};
constexpr Milliseconds registry_timeout{60'000};

PullProgress pull_progress(const json& message) {
  return {text_at(message, {"id"}), text_at(message, {"status"}),
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_at(message, {"progressDetail", "current"}))),
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_at(message, {"progressDetail", "total"})))};
}

// After the 200 the engine can report trouble only inside the stream.
void throw_reported_error(const json& message) {
  auto text = text_at(message, {"errorDetail", "message"});
  if (text.empty()) text = text_at(message, {"error"});
  if (text.empty()) return;
  const auto code = number_at(message, {"errorDetail", "code"});
  throw ApiError{code >= 400 && code < 600 ? static_cast<int>(code) : 500, text};
}

}  // namespace

void Api::image_messages(const Call& call, const std::function<void(const json&)>& each, const Limits& limits) {
  JsonLines lines;
  auto streaming = call;
  streaming.timeout = Milliseconds{0};
  if (streaming.inactivity.count() == 0) streaming.inactivity = longest_silence;
  const auto drain = [&] {
    while (const auto message = lines.next()) {
      throw_reported_error(*message);
      if (each) each(*message);
    }
  };
  streaming.download = [&](std::string_view bytes) {
    lines.feed(bytes);
    drain();
  };
  client_.call(streaming, limits);
  if (!lines.has_rest()) return;
  lines.feed("\n");
  drain();
}

std::vector<std::pair<std::string, Secret>> Api::auth_header(const ImageName& image, const Limits& limits) {
  return {{"X-Registry-Auth", auth_.header(image.registry, limits)}};
}

std::vector<ImageSummary> Api::images(const Filters& filters, const Limits& limits) {
  std::vector<ImageSummary> found;
  for (const auto& value : client_.call_json({.path = "/images/json", .query = filters_query(filters)}, limits)) {
    found.push_back(image_summary(value));
  }
  return found;
}

std::optional<ImageDetails> Api::find_image(const std::string& image, const Limits& limits) {
  const auto response = client_.call({.path = fmt::format("/images/{}/json", io::percent_encode(image, "/:@")), .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  return image_details(json::parse(response.body, nullptr, false));
}

void Api::pull_image(const ImageName& image, const std::string& platform,
                     const std::function<void(const PullProgress&)>& progress, const Limits& limits) {
  // Without a tag the engine would pull every tag there is.
  Call call{.method = "POST",
            .path = "/images/create",
            .query = {{"fromImage", image.familiar_repository()}, {"tag", image.reference()}},
            .secret_headers = auth_header(image, limits)};
  if (!platform.empty()) call.query.emplace_back("platform", platform);
  image_messages(
      call,
      [&](const json& message) {
        if (progress) progress(pull_progress(message));
      },
      limits);
}

void Api::push_image(const ImageName& image, const std::function<void(const PullProgress&)>& progress,
                     const Limits& limits) {
  Call call{.method = "POST",
            .path = fmt::format("/images/{}/push", io::percent_encode(image.familiar_repository(), "/:")),
            .query = {{"tag", image.tag.empty() ? "latest" : image.tag}},
            .secret_headers = auth_header(image, limits)};
  image_messages(
      call,
      [&](const json& message) {
        if (progress) progress(pull_progress(message));
      },
      limits);
}

void Api::tag_image(const std::string& image, const ImageName& name, const Limits& limits) {
  client_.call({.method = "POST",
                .path = fmt::format("/images/{}/tag", io::percent_encode(image, "/:@")),
                .query = {{"repo", name.familiar_repository()}, {"tag", name.tag.empty() ? "latest" : name.tag}},
                .idempotent = true},
               limits);
}

void Api::remove_image(const std::string& image, bool force, const Limits& limits) {
  Query query;
  if (force) query.emplace_back("force", "1");
  constexpr Milliseconds slow{120'000};
  client_.call({.method = "DELETE", .path = fmt::format("/images/{}", io::percent_encode(image, "/:@")), .query = query,
                .idempotent = true, .timeout = slow, .expected = {404}},
               limits);
}

std::string Api::import_image(const ImageName& name, const io::ByteSource& tar, const std::vector<std::string>& changes,
                              const Limits& limits) {
  Call call{.method = "POST",
            .path = "/images/create",
            .query = {{"fromSrc", "-"}, {"repo", name.familiar_repository()}, {"tag", name.tag}},
            .content_type = "application/x-tar",
            .upload = tar};
  for (const auto& change : changes) call.query.emplace_back("changes", change);
  std::string id;
  image_messages(
      call,
      [&id](const json& message) {
        if (auto status = text_at(message, {"status"}); status.starts_with("sha256:")) id = std::move(status);
      },
      limits);
  return id;
}

std::string Api::build_image(const io::ByteSource& context_tar, const BuildOptions& options, const io::ByteSink& output,
                             const Limits& limits) {
  Call call{.method = "POST",
            .path = "/build",
            .query = {{"dockerfile", options.dockerfile}, {"rm", "1"}, {"forcerm", "1"}},
            .content_type = "application/x-tar",
            .upload = context_tar};
  for (const auto& tag : options.tags) call.query.emplace_back("t", tag);
  if (!options.target.empty()) call.query.emplace_back("target", options.target);
  if (!options.args.empty()) call.query.emplace_back("buildargs", json(options.args).dump());
  if (!options.labels.empty()) call.query.emplace_back("labels", json(options.labels).dump());
  if (!options.cache_from.empty()) call.query.emplace_back("cachefrom", json(options.cache_from).dump());
  if (options.no_cache) call.query.emplace_back("nocache", "1");
  if (options.pull) call.query.emplace_back("pull", "1");
  if (!options.platform.empty()) call.query.emplace_back("platform", options.platform);
  std::string id;
  image_messages(
      call,
      [&](const json& message) {
        if (const auto text = text_at(message, {"stream"}); output && !text.empty()) output(text);
        if (auto found = text_at(message, {"aux", "ID"}); !found.empty()) id = std::move(found);
      },
      limits);
  if (id.empty()) throw Failure{Exit::failed, "the build ended without an image"};
  return id;
}

DistributionInfo Api::distribution(const ImageName& image, const Limits& limits) {
  const auto name = image.digest.empty() ? fmt::format("{}:{}", image.familiar_repository(), image.reference())
                                         : fmt::format("{}@{}", image.familiar_repository(), image.digest);
  return distribution_info(client_.call_json({.path = fmt::format("/distribution/{}/json", io::percent_encode(name, "/:@")),
                                              .secret_headers = auth_header(image, limits),
                                              .timeout = registry_timeout},
                                             limits));
}

}  // namespace codops::engine::docker

#include "lib/ops/images.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/parallel.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/io/http.hpp"

namespace codops::ops {
namespace {

using engine::docker::ApiError;
using engine::docker::ImageDetails;
using engine::docker::ImageName;

std::string digest_of(const ImageDetails& details, const ImageName& name) {
  const auto prefix = name.familiar_repository() + "@";
  for (const auto& digest : details.digests) {
    if (digest.starts_with(prefix)) return digest.substr(prefix.size());
  }
  return {};
}

[[noreturn]] void explain_missing(const ImageName& name, const std::string& service, const ApiError& error) {
  const auto text = name.familiar();
  if (error.status() == 401 || error.status() == 403 || turned_away(error)) {
    throw Failure{Exit::failed, fmt::format("the registry \"{}\" refuses \"{}\" of service \"{}\": {}", name.registry, text, service, error.message()),
                  fmt::format("docker login {}", name.registry)};
  }
  switch (error.status()) {
    case 404:
      throw Failure{Exit::failed, fmt::format("there is no image \"{}\" for service \"{}\"", text, service),
                    "check the version, or push the image first"};
    default:
      // The engine says 500 both for a registry that is away and for one that hides what a stranger may not see.
      throw Failure{Exit::unavailable, fmt::format("\"{}\" of service \"{}\" can't be looked up: {}", text, service, error.message()),
                    "is the registry up and reachable from the engine?"};
  }
}

// "linux/arm64/v8"
std::string platform_of(const ImageDetails& image) {
  auto text = image.os + "/" + image.architecture;
  if (const auto variant = image.raw && image.raw->is_object() ? image.raw->value("Variant", std::string{}) : std::string{}; !variant.empty()) text += "/" + variant;
  return text;
}

[[noreturn]] void refuse_platform(const ImageState& image, const std::string& there) {
  throw Failure{Exit::failed, fmt::format("\"{}\" of service \"{}\" is for {}, and its platform: says {}", image.name, image.service, there, image.platform),
                fmt::format("nothing was changed; build or load it for {}, or leave platform: out", image.platform)};
}

ImageState look_up(Host& host, const compose::Project& project, const compose::Service& service, bool before_build, const Limits& limits) {
  ImageState state{service.name, engine::docker::image_of(project, service), service.platform, {}, false, false, {}};
  const auto name = engine::docker::parse_image_name(state.name);
  const auto local = host.api().find_image(state.name, limits);
  state.on_engine = local.has_value();
  if (local) {
    state.digest = digest_of(*local, name);
    state.local = std::make_shared<const ImageDetails>(*local);
  }
  if (before_build && service.build) {
    state.digest.clear();
    return state;
  }
  const bool local_only = service.pull_policy == "never" || service.pull_policy == "build" || (service.image.empty() && service.build);
  if (local_only || (local && local->digests.empty())) {
    if (!local) {
      throw Failure{Exit::failed, fmt::format("there is no image \"{}\" for service \"{}\" on the engine", state.name, service.name),
                    service.build ? fmt::format("build it: codops build {} VERSION, or deploy with --build", host.environment().name)
                                  : "its pull_policy forbids to pull it: load or build it on the engine"};
    }
    state.digest.clear();
    return state;
  }
  if (!name.digest.empty()) {
    state.must_pull = !local;
    state.digest = name.digest;
    return state;
  }
  if (local && (service.pull_policy == "missing" || service.pull_policy == "if_not_present")) return state;
  try {
    const auto offer = host.api().distribution(name, limits.within(std::chrono::seconds{30}));
    const auto fits = [&](const std::string& platform) { return fits_platform(platform, service.platform); };
    if (!offer.platforms.empty() && std::none_of(offer.platforms.begin(), offer.platforms.end(), fits)) {
      refuse_platform(state, fmt::format("{}", fmt::join(offer.platforms, ", ")));
    }
    state.must_pull = !local || offer.digest != state.digest || !fits_platform(platform_of(*local), service.platform);
    state.digest = offer.digest;
  } catch (const ApiError& error) {
    explain_missing(name, service.name, error);
  }
  return state;
}

// Docker's architecture names and the kernel's.
std::string common_name(const std::string& architecture) {
  if (architecture == "x86_64") return "amd64";
  if (architecture == "aarch64") return "arm64";
  if (architecture == "armv7l" || architecture == "armhf") return "arm";
  return architecture;
}

}  // namespace

bool fits_platform(const std::string& image, const std::string& asked) {
  const auto parts_of = [](const std::string& platform) {
    std::vector<std::string> parts;
    std::string part;
    for (std::istringstream in{platform}; std::getline(in, part, '/');) parts.push_back(common_name(part));
    if (parts.size() == 1 && parts.front() != "linux" && parts.front() != "windows") parts.insert(parts.begin(), "linux");
    return parts;
  };
  const auto has = parts_of(image);
  const auto wants = parts_of(asked);
  for (std::size_t index = 0; index < has.size() && index < wants.size(); ++index) {
    if (!has[index].empty() && has[index] != wants[index]) return false;
  }
  return true;
}

bool turned_away(const Failure& failure) {
  for (const char* words : {"no basic auth credentials", "unauthorized", "authentication required", "access denied", "access to the resource is denied"}) {
    if (failure.message().find(words) != std::string::npos) return true;
  }
  return false;
}

Failure with_login_hint(const Failure& failure, const std::string& registry) {
  if (!turned_away(failure)) return failure;
  return {Exit::failed, failure.message(), fmt::format("docker login {}", registry)};
}

std::vector<ImageState> find_images(Host& host, const compose::Project& project, const std::vector<std::string>& only, const Limits& limits, bool before_build) {
  std::vector<const compose::Service*> services;
  for (const auto& [name, service] : project.services) {
    if (only.empty() || std::find(only.begin(), only.end(), name) != only.end()) services.push_back(&service);
  }
  std::vector<ImageState> images(services.size());
  in_parallel(services.size() + 1, calls_at_once, [&](std::size_t index) {
    if (index == services.size()) host.engine_info(limits);  // what facts_of and the preflight need next
    else images[index] = look_up(host, project, *services[index], before_build, limits);
  });
  return images;
}

void pull_images(Host& host, const std::vector<ImageState>& images, const Limits& limits) {
  for (const auto& image : images) {
    if (!image.must_pull) continue;
    auto name = engine::docker::parse_image_name(image.name);
    const auto tag = name.tag;
    name.digest = image.digest;
    name.tag.clear();
    host.reporter().report({Event::Kind::started, "pull", image.name, {}, {}, {}, {}});
    const auto start = host.clock().steady();
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> layers;
    const auto progress = [&](const engine::docker::PullProgress& line) {
      if (line.layer.empty() || line.total == 0) return;
      layers[line.layer] = {line.current, line.total};
      std::uint64_t current = 0;
      std::uint64_t total = 0;
      for (const auto& [layer, bytes] : layers) {
        current += bytes.first;
        total += bytes.second;
      }
      host.reporter().report({Event::Kind::progress, "pull", fmt::format("{} {} of {}", image.name, format_bytes(current), format_bytes(total)), {}, {}, current, total});
    };
    try {
      host.api().pull_image(name, image.platform, progress, limits.within(host.environment().timeouts.pull));
      auto tagged = engine::docker::parse_image_name(image.name);
      tagged.digest.clear();
      if (!tag.empty() || tagged.tag.empty()) host.api().tag_image(name.familiar(), tagged, limits);
    } catch (Failure& failure) {
      failure.add_context(fmt::format("pulling \"{}\"", image.name));
      // The whole run's own deadline stays one.
      if (failure.code() == Exit::deadline && !limits.deadline.expired()) {
        throw Failure{Exit::unavailable,
                      fmt::format("pulling \"{}\" did not end within {}; nothing was changed", image.name, format_duration(host.environment().timeouts.pull)),
                      fmt::format("is the registry \"{}\" well? timeouts.pull in codops.yaml gives it longer", name.registry)};
      }
      throw with_login_hint(failure, name.registry);
    }
    host.reporter().report({Event::Kind::done, "pull", image.name, {}, std::chrono::duration_cast<Milliseconds>(host.clock().steady() - start), {}, {}});
  }
}

std::map<std::string, ImageFacts> facts_of(Host& host, const std::vector<ImageState>& images, const Limits& limits) {
  std::map<std::string, ImageFacts> facts;
  const auto engine = common_name(host.engine_info(limits).architecture);
  for (const auto& image : images) {
    auto details = image.local;
    if (image.must_pull || !details) {
      const auto now = host.api().find_image(image.name, limits);
      details = now ? std::make_shared<const ImageDetails>(*now) : nullptr;
    }
    const bool other = details && !fits_platform(platform_of(*details), image.platform);
    if (!details || (other && image.must_pull)) {
      facts.emplace(image.service, ImageFacts{"", image.digest, {}, false});
      continue;
    }
    if (other) refuse_platform(image, platform_of(*details));
    if (image.platform.empty() && !details->architecture.empty() && !engine.empty() && common_name(details->architecture) != engine) {
      throw Failure{Exit::failed, fmt::format("\"{}\" of service \"{}\" is for {}, and the engine runs on {}", image.name, image.service,
                                              details->architecture, engine),
                    fmt::format("build it for linux/{}", engine)};
    }
    ImageFacts fact{details->id, image.digest, {}, details->has_healthcheck};
    fact.exposed.assign(details->exposed.begin(), details->exposed.end());
    facts.emplace(image.service, std::move(fact));
  }
  return facts;
}

}  // namespace codops::ops

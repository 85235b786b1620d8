#pragma once
// Images of a version: found on the engine or in the registry, pulled by digest, never built unless told.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/render.hpp"

namespace codops::engine::docker {
struct ImageDetails;
}

namespace codops::ops {

struct ImageState {
  std::string service;
  std::string name;     // as configured
  std::string platform; // asked for, "linux/arm64"; empty: the engine's
  std::string digest;   // of the registry; empty: exists on the engine only
  bool on_engine{false};
  bool must_pull{false};
  std::shared_ptr<const engine::docker::ImageDetails> local;  // as it is on the engine
};

// Whether an image of "linux/arm64/v8" is for a service that asks for "linux/arm64", "arm64" or "linux"; what one of them leaves open fits.
bool fits_platform(const std::string& image, const std::string& asked);

// Whether the registry turned somebody away. By its words: what the engine passes on has no code of its own for that (500,
// or a line of a stream that began with 200).
bool turned_away(const Failure& failure);
Failure with_login_hint(const Failure& failure, const std::string& registry);

// Asks engine and registry, changes nothing. Failure: an image that can't be had, by name, with what to do; 69 when a
// registry does not answer. `only`: these services; empty: all. `before_build`: nobody is asked for what has build:, which may not be there yet.
std::vector<ImageState> find_images(Host& host, const compose::Project& project, const std::vector<std::string>& only, const Limits& limits, bool before_build = false);
void pull_images(Host& host, const std::vector<ImageState>& images, const Limits& limits);
// What render needs, once they are on the engine. Failure for a wrong architecture.
std::map<std::string, ImageFacts> facts_of(Host& host, const std::vector<ImageState>& images, const Limits& limits);

}  // namespace codops::ops

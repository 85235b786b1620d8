#include "lib/ops/kubernetes/digests.hpp"

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/registry.hpp"
#include "lib/engine/docker/ssh.hpp"

namespace codops::ops::kubernetes {
namespace {

// A registry that only the cluster can reach must not hold up every deploy.
constexpr Milliseconds registry_time{5'000};

}  // namespace

Digests::Digests(const std::map<std::string, std::string>& shell) {
  const auto look = [&shell](std::string_view name) -> std::optional<std::string> {
    const auto found = shell.find(std::string{name});
    return found == shell.end() ? std::nullopt : std::optional{found->second};
  };
  registries_ = std::make_unique<engine::docker::Registries>(engine::docker::RegistryAuth{look, engine::docker::run_credential_helper});
}

Digests::~Digests() = default;

void Digests::add_secrets(KnownSecrets& secrets) const { registries_->auth().add_secrets(secrets); }

const std::map<std::string, Digests::Answer>& Digests::of(const std::vector<std::string>& images, const Limits& limits) {
  std::map<std::string, Answer> asked;
  for (const auto& image : images) {
    if (!known_.contains(image)) asked.try_emplace(image);
  }
  std::vector<std::pair<const std::string, Answer>*> places;
  for (auto& place : asked) places.push_back(&place);
  in_parallel(places.size(), calls_at_once, [&](std::size_t index) {
    auto& [image, answer] = *places[index];
    try {
      answer.digest = registries_->digest_of(image, limits.within(registry_time));
    } catch (const Failure& failure) {
      limits.check("the registry");
      answer.why = failure.message();
    }
  });
  known_.merge(asked);
  return known_;
}

}  // namespace codops::ops::kubernetes

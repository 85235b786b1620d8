#include "lib/kube/obstacle.hpp"

#include <algorithm>
#include <array>

namespace codops::kube {
namespace {

using std::string_view_literals::operator""sv;

// The controller manager makes it in every namespace: where it is not there yet, it comes.
constexpr auto made_by_itself = "kube-root-ca.crt"sv;

// `secret "NAME" not found` of the kubelet's cache, `secrets "NAME" not found` of the API server.
bool names_missing(std::string_view message, std::string_view kind) {
  for (auto at = message.find(kind); at != std::string_view::npos; at = message.find(kind, at + 1)) {
    auto rest = message.substr(at + kind.size());
    if (rest.starts_with('s')) rest.remove_prefix(1);
    if (!rest.starts_with(" \"")) continue;
    rest.remove_prefix(2);
    const auto end = rest.find('"');
    if (end != std::string_view::npos && rest.substr(end + 1).starts_with(" not found") && rest.substr(0, end) != made_by_itself) return true;
  }
  return false;
}

// kubelet's volume plugins and envFrom.
constexpr std::array missing_keys{"references non-existent secret key"sv, "references non-existent config key"sv, "couldn't find key "sv};

constexpr std::array passing_words{
    "no relationship found between node"sv,           // a restarted API server does not know yet what the node may read
    "failed to sync secret cache"sv, "failed to sync configmap cache"sv, "not registered"sv,
    "services have not yet been read at least once"sv,  // a restarted kubelet
    "context deadline exceeded"sv, "is reserved for"sv,  // a slow runtime: its first try still holds the name
};

template <typename Words>
bool contains_any(std::string_view message, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view one) { return message.find(one) != std::string_view::npos; });
}

}  // namespace

Obstacle obstacle_of(std::string_view message) {
  if (names_missing(message, "secret") || names_missing(message, "configmap") || contains_any(message, missing_keys)) return Obstacle::missing;
  return contains_any(message, passing_words) ? Obstacle::passing : Obstacle::other;
}

}  // namespace codops::kube

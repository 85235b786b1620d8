#include "lib/ops/definitions.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using Texts = std::map<std::string, std::string>;

constexpr std::string_view network_word = "network ", volume_word = "volume ";

// Without those that compose, codops and the engine add of themselves.
std::string own_hash(Texts texts) {
  std::erase_if(texts, [](const auto& text) {
    return text.first.starts_with("com.docker.compose.") || text.first.starts_with("codops.") || text.first.starts_with("com.docker.network.enable_ip");
  });
  return io::sha256_hex(Json(texts).dump());
}

Texts texts_under(const Json& body, const char* key) { return body.contains(key) && body.at(key).is_object() ? body.at(key).get<Texts>() : Texts{}; }

std::string flag_word(bool flag) { return flag ? "true" : "false"; }

}  // namespace

release::Definitions definitions_of(const std::vector<NamedObject>& networks, const std::vector<NamedObject>& volumes) {
  release::Definitions all;
  for (const auto& network : networks) {
    if (network.external) continue;
    const auto body = Json::parse(network.body);
    auto& facts = all[std::string{network_word} + network.name];
    facts = {{"driver", body.value("Driver", "bridge")},
             {"internal", flag_word(body.value("Internal", false))},
             {"driver_opts", own_hash(texts_under(body, "Options"))},
             {"labels", own_hash(texts_under(body, "Labels"))}};
    // Left out, they are the choice of whoever makes it.
    if (body.value("Attachable", false)) facts["attachable"] = flag_word(true);
    if (body.contains("EnableIPv6")) facts["enable_ipv6"] = flag_word(body.at("EnableIPv6"));
    if (body.contains("Subnet")) facts["subnet"] = body.at("Subnet");
    if (body.contains("Gateway")) facts["gateway"] = body.at("Gateway");
  }
  for (const auto& volume : volumes) {
    if (volume.external) continue;
    const auto body = Json::parse(volume.body);
    all[std::string{volume_word} + volume.name] = {
        {"driver", body.value("Driver", "local")}, {"driver_opts", own_hash(texts_under(body, "DriverOpts"))}, {"labels", own_hash(texts_under(body, "Labels"))}};
  }
  return all;
}

void add_definition(release::Definitions& there, const engine::docker::NetworkDetails& network) {
  there[std::string{network_word} + network.name] = {{"driver", network.driver},
                                                     {"internal", flag_word(network.internal)},
                                                     {"attachable", flag_word(network.attachable)},
                                                     {"enable_ipv6", flag_word(network.enable_ipv6)},
                                                     {"subnet", network.subnet},
                                                     {"gateway", network.gateway},
                                                     {"driver_opts", own_hash(network.options)},
                                                     {"labels", own_hash(network.labels)}};
}

void add_definition(release::Definitions& there, const engine::docker::VolumeDetails& volume) {
  there[std::string{volume_word} + volume.name] = {{"driver", volume.driver}, {"driver_opts", own_hash(volume.options)}, {"labels", own_hash(volume.labels)}};
}

std::vector<std::string> other_than_defined(const release::Release& release, const Observed& observed) {
  std::vector<std::string> lines;
  for (const auto& [name, wanted] : release.definitions) {
    const auto there = observed.definitions.find(name);
    if (there == observed.definitions.end()) continue;
    std::vector<std::string> other;
    for (const auto& [fact, value] : wanted) {
      if (const auto found = there->second.find(fact); found == there->second.end() || found->second != value) other.push_back(fact);
    }
    if (other.empty()) continue;
    const auto anew = name.starts_with(network_word)
                          ? fmt::format("codops down {0}, then codops deploy {0} {1}, makes it anew", release.environment, release.version)
                          : fmt::format("to make it anew, empty: codops backup {0}, codops down {0}, docker volume rm {1}, then codops deploy {0} {2}",
                                        release.environment, name.substr(volume_word.size()), release.version);
    lines.push_back(fmt::format("the {} is as it was made, with another {} than release {} says; {}", name, fmt::join(other, ", "), release.number, anew));
  }
  return lines;
}

}  // namespace codops::ops

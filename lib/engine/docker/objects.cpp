#include "lib/engine/docker/objects.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace codops::engine::docker {

std::string create_resting_container(Api& api, const std::string& name, const Labels& labels,
                                     const std::map<std::string, std::string>& volumes, const Limits& limits) {
  using nlohmann::json;
  auto mounts = json::array();
  for (const auto& [volume, destination] : volumes) {
    mounts.push_back({{"Type", "volume"}, {"Source", volume}, {"Target", destination}});
  }
  // The engine insists on a command; there is nothing in the image that it could run.
  const json body{{"Image", empty_image},
                  {"Cmd", {"never-started"}},
                  {"Labels", labels},
                  {"HostConfig", {{"NetworkMode", "none"}, {"Mounts", mounts}}}};
  try {
    return api.create_container(name, body, limits).id;
  } catch (const ApiError& error) {
    if (!error.not_found()) throw;
  }
  const auto nothing = io::write_tar({});
  api.import_image(parse_image_name(empty_image), io::bytes_of(nothing), {fmt::format("LABEL {}=empty", role_label)},
                   limits);
  return api.create_container(name, body, limits).id;
}

}  // namespace codops::engine::docker

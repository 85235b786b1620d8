#pragma once
// target::Containers on a Docker host: those that compose's labels give to one project.
#include <string>

#include "lib/engine/docker/api.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::docker {

inline constexpr std::string_view compose_project_label = "com.docker.compose.project";
inline constexpr std::string_view compose_service_label = "com.docker.compose.service";
inline constexpr std::string_view compose_oneoff_label = "com.docker.compose.oneoff";

class ProjectContainers final : public target::Containers {
 public:
  ProjectContainers(Api& api, std::string project) : api_{api}, project_{std::move(project)} {}

  std::vector<target::Container> list(std::string_view service, bool with_stopped, const Limits& limits) override;
  std::vector<std::string> last_logs(const std::string& container, std::size_t lines, const Limits& limits) override;
  int exec(const std::string& container, const target::ExecRequest& request, const target::ExecStreams& streams,
           const Limits& limits) override;
  void read_archive(const std::string& container, const std::string& path, const target::Sink& archive,
                    const Limits& limits) override;
  void write_archive(const std::string& container, const std::string& folder, const target::Source& archive, const Limits& limits) override;
  void read_image(const std::string& image, const std::string& path, const target::Sink& archive,
                  const Limits& limits) override;

 private:
  Api& api_;
  std::string project_;
};

}  // namespace codops::engine::docker

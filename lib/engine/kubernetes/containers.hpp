#pragma once
// target::Containers over the pods of a namespace, one entry a container.
//   id       NAMESPACE/POD/CONTAINER; the calls also take POD and POD/CONTAINER of the namespace
//   name     POD, or POD/CONTAINER where a pod has several
//   service  the workload: of a Deployment's pod the Deployment, else the owner's name, else the pod's own
//   health   healthy when the container is ready, starting when it runs and is not
// exec in a pod knows no environment, user or folder: variables travel through stdin to a shell that exports them (never
// in argv, which servers log), a folder by cd; a user is an error. Both need `sh` in the image.
#include <string>
#include <vector>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::kubernetes {

class PodContainers final : public target::Containers {
 public:
  // `selector`: labels that narrow the pods down; empty: all of the namespace.
  PodContainers(Api& api, std::string namespace_, std::string selector = {});

  // Stopped ones: pods that ended (Succeeded, Failed).
  std::vector<target::Container> list(std::string_view service, bool with_stopped, const Limits& limits) override;
  std::vector<std::string> last_logs(const std::string& container, std::size_t lines, const Limits& limits) override;
  int exec(const std::string& container, const target::ExecRequest& request, const target::ExecStreams& streams,
           const Limits& limits) override;
  // By `tar` in the container.
  void read_archive(const std::string& container, const std::string& path, const target::Sink& archive,
                    const Limits& limits) override;
  void write_archive(const std::string& container, const std::string& folder, const target::Source& archive, const Limits& limits) override;
  // A pod is made from the image that does nothing but wait (`sleep`), read and removed: the image needs sleep and tar.
  void read_image(const std::string& image, const std::string& path, const target::Sink& archive,
                  const Limits& limits) override;

 private:
  Api& api_;
  std::string namespace_, selector_;
};

struct PodContainer {
  std::string namespace_, pod, container;  // container may be empty
};
PodContainer parse_container_id(const std::string& id, const std::string& default_namespace);

// The workload that a pod belongs to, by its owner references and labels.
std::string workload_of(const nlohmann::json& pod);

}  // namespace codops::engine::kubernetes

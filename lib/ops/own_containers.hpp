#pragma once
// The containers of an environment, for verbs that read no state: asked for the first time, they are looked up in it, so that a command
// meant for one environment never reaches what another one deployed under the same name.
#include <functional>
#include <memory>
#include <mutex>

#include "lib/target/containers.hpp"

namespace codops::ops {

class OwnContainers final : public target::Containers {
 public:
  // `require_owner`: Failure{config} when they belong to another environment; called once, before the first list.
  OwnContainers(std::unique_ptr<target::Containers> containers, std::function<void(const Limits&)> require_owner)
      : containers_{std::move(containers)}, require_owner_{std::move(require_owner)} {}

  std::vector<target::Container> list(std::string_view service, bool with_stopped, const Limits& limits) override;
  std::vector<std::string> last_logs(const std::string& container, std::size_t lines, const Limits& limits) override { return containers_->last_logs(container, lines, limits); }
  int exec(const std::string& container, const target::ExecRequest& request, const target::ExecStreams& streams, const Limits& limits) override {
    return containers_->exec(container, request, streams, limits);
  }
  void read_archive(const std::string& container, const std::string& path, const target::Sink& archive, const Limits& limits) override {
    containers_->read_archive(container, path, archive, limits);
  }
  void write_archive(const std::string& container, const std::string& folder, const target::Source& archive, const Limits& limits) override {
    containers_->write_archive(container, folder, archive, limits);
  }
  void read_image(const std::string& image, const std::string& path, const target::Sink& archive, const Limits& limits) override {
    containers_->read_image(image, path, archive, limits);
  }

 private:
  std::unique_ptr<target::Containers> containers_;
  std::function<void(const Limits&)> require_owner_;
  std::mutex mutex_;
  bool ours_{false};
};

}  // namespace codops::ops

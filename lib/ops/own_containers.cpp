#include "lib/ops/own_containers.hpp"

namespace codops::ops {

std::vector<target::Container> OwnContainers::list(std::string_view service, bool with_stopped, const Limits& limits) {
  {
    const std::lock_guard guard{mutex_};
    if (!ours_) require_owner_(limits);
    ours_ = true;
  }
  return containers_->list(service, with_stopped, limits);
}

}  // namespace codops::ops

#pragma once
// Waiting for containers without polling: subscribe to the engine's events, look once, then look again at whatever an
// event names. Nothing that happens in between is lost.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/docker/api.hpp"

namespace codops::engine::docker {

struct Watched {
  std::string id;
  bool gone{false};  // removed; the rest is then what was seen last
  ContainerDetails details;
};

class ContainerWatch {
 public:
  // Full ids. Opens the event stream.
  ContainerWatch(Api& api, std::vector<std::string> ids, const Limits& limits);
  ~ContainerWatch();

  // The first call returns all of them, later ones those that changed (state, health, exit code, restarts). Waits for as
  // long as nothing does; a lost stream is opened anew, for up to 30 s while the engine is away. Throws at the limits.
  std::vector<Watched> next(const Limits& limits);

 private:
  void subscribe(const Limits& limits);
  void resubscribe(const Limits& limits);
  std::vector<Watched> look(const std::vector<std::string>& ids, const Limits& limits);

  Api& api_;
  std::vector<std::string> ids_;
  std::unique_ptr<EventStream> stream_;
  std::map<std::string, std::string> seen_;  // id → what was told last, as text
  bool looked_{false};
};

// Follows until `done` returns true for the present state of all (by id), or throws. `changed` sees each change first.
using Present = std::map<std::string, Watched>;
void wait_for(Api& api, const std::vector<std::string>& ids, const std::function<bool(const Present&)>& done,
              const std::function<void(const Watched&)>& changed, const Limits& limits);

}  // namespace codops::engine::docker

#pragma once
// What happens to objects, told as it happens: for each spec a list, then a watch from there on; several at once. A watch
// that the server ends is resumed; one that is too old (410) is listed again, and what vanished in between is told as
// deleted. Nothing that matters is lost, and nothing that did not change is told twice.
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/engine/kubernetes/api.hpp"

namespace codops::engine::kubernetes {

struct WatchSpec {
  std::string api_version, kind;
  std::string namespace_;  // empty: all
  Selection selection;
};

struct WatchEvent {
  // synced: everything that was there at the start has been told. Comes once for each spec.
  enum class What { added, modified, deleted, synced };
  std::size_t which{};  // index of the spec
  What what{What::synced};
  std::shared_ptr<const nlohmann::json> object;  // null for synced. Deleted: the last state; after a relist only apiVersion, kind, metadata
};

struct WatchOptions {
  // How long a server that can't be reached is tried again, from the first failure on; then next() throws.
  Milliseconds outage{60'000};
  // Nothing at all for so long (bookmarks come about once a minute): the connection is made anew.
  Milliseconds silence{150'000};
};

class Watch {
 public:
  Watch(Api& api, std::vector<WatchSpec> specs, const WatchOptions& options = {});
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The next event of any spec. Throws Failure{deadline} at the limits' deadline (call again to go on), when cancelled,
  // and what ended a watch for good (403, an outage).
  WatchEvent next(const Limits& limits);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace codops::engine::kubernetes

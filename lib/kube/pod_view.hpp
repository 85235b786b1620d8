#pragma once
// What a pod's status says, in one place for verdicts and for `status`.
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

struct Ended {
  int exit_code{}, signal{};
  std::string reason, message, at;  // "Error", "OOMKilled", "Completed"; when, RFC 3339
  std::string began;                // when that run of it began
};

struct ContainerView {
  std::string name;
  bool init{}, sidecar{};  // an init container with restartPolicy Always is a sidecar
  bool ready{}, running{}, started{};
  int restarts{};
  std::string waiting, waiting_message;  // reason; "" when it does not wait
  std::optional<Ended> ended;            // it is not running
  std::optional<Ended> last;             // the run before
};

struct PodView {
  std::string name, phase, reason, message;
  bool terminating{}, ready{};
  std::string ready_since;                   // of the Ready condition
  std::string unschedulable;                 // the scheduler's words; "" when it was scheduled or not looked at yet
  std::vector<ContainerView> containers;     // init containers first
};

PodView view_of(const Object& pod);

// The controller among ownerReferences: its uid, "" when there is none.
std::string controller_of(const Object& object);

struct EventView {
  std::string reason, message, type;  // type: Normal, Warning
  std::string uid, kind, name;        // of what it is about
  std::string last;                   // the newest of its time stamps, RFC 3339
};
EventView event_of(const Object& event);

// "exited with 1", "was killed by signal 9 (out of memory: its limit is 64Mi)".
std::string ended_words(const Ended& ended, const std::string& memory_limit = {});
// resources.limits.memory of a container of the pod; "" when it has none.
std::string memory_limit_of(const Object& pod, const std::string& container);

// Accessors that never throw on what a server may have sent.
std::string text_in(const nlohmann::json& value, const char* pointer);
std::int64_t number_in(const nlohmann::json& value, const char* pointer, std::int64_t otherwise = 0);
// status.conditions[type]: nullptr when absent.
const nlohmann::json* condition_of(const nlohmann::json& object, const std::string& type);

}  // namespace codops::kube

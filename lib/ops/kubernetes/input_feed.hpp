#pragma once
// What a descriptor gives, sent to the stdin of a container's own command beside everything else that goes on.
#include <string>
#include <thread>

#include "lib/engine/kubernetes/api.hpp"

namespace codops::ops::kubernetes {

class InputFeed {
 public:
  // `spec` is one to attach to. The container has stdin and stdinOnce, and has started.
  InputFeed(engine::kubernetes::Api& api, engine::kubernetes::Api::ExecSpec spec, int from, const Limits& limits);
  ~InputFeed();
  InputFeed(const InputFeed&) = delete;
  InputFeed& operator=(const InputFeed&) = delete;

  // Ends it; the command has ended. Why not all of the input got there though the command was there for it; else "".
  std::string lost();

 private:
  void feed(const Limits& limits);
  void carry(const Limits& limits);
  bool has_ended(const Limits& limits);

  engine::kubernetes::Api& api_;
  engine::kubernetes::Api::ExecSpec spec_;
  int from_;
  CancelSource stop_;
  std::string lost_;
  bool begun_{false};  // something was read: it can't be read again
  std::thread thread_;
};

}  // namespace codops::ops::kubernetes

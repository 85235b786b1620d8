#pragma once
// The application at rest while its database is exchanged: every running container but those that keep data and the proxy.
#include <memory>

#include "lib/ops/transaction.hpp"

namespace codops::ops {

class ApplicationRest {
 public:
  ApplicationRest(Host& host, std::string command) : host_{host}, command_{std::move(command)} {}
  // Holds the environment's lock from here to start(): no deploy comes between.
  void stop(const Limits& limits);
  // Those that stop() stopped, until they are ready.
  void start(const Limits& limits);

 private:
  Host& host_;
  std::string command_;
  std::unique_ptr<Transaction> transaction_;
  std::vector<std::string> stopped_;
};

}  // namespace codops::ops

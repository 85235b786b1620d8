#pragma once
// The application at rest while its database is exchanged: every running container but those that keep data and the proxy.
#include <memory>

#include "lib/ops/transaction.hpp"

namespace codops::ops {

class ApplicationRest {
 public:
  ApplicationRest(Host& host, std::string command);
  ~ApplicationRest();
  // Holds the environment's lock from here to start(): no deploy comes between. Journalled as a run that stops them: if this
  // process dies, the next changing command (or `codops resume`) starts them again.
  void stop(const Limits& limits);
  // Those that stop() stopped, until they are ready. After a failure the journal stays open, for `codops resume`.
  void start(const Limits& limits);

 private:
  struct Stopped;

  Host& host_;
  std::string command_;
  std::unique_ptr<Transaction> transaction_;
  std::unique_ptr<Stopped> stopped_;
};

}  // namespace codops::ops

#pragma once
// The daily round: what runs, where, since when; and what the servers print.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ops/dev/workspace.hpp"

namespace codops::ops::dev {

struct ServiceState {
  std::string service, state, address, note;
  bool good{};
};

struct DevStatus {
  Backend backend{Backend::local};
  std::vector<ServiceState> services;
  std::string database;       // "up to date (3)", "2 pending"; empty: none
  bool database_good{true};
  bool expected{};            // servers were set up here
  bool set_up{};              // setup-dev was run here

  bool good() const;
};

// Throws Failure{unavailable} unless what listens where the files say is this checkout's own server: in a copy of a checkout, and beside
// another one, they lead to somebody else's data.
void require_own_server(const Workspace& workspace, const StorePlan& store, const Limits& limits);

DevStatus dev_status(const Workspace& workspace, const Limits& limits);
std::string text(const DevStatus& status);
std::string json(const DevStatus& status);

struct DevLogs {
  std::vector<std::string> services;  // empty: all
  bool follow{};
  std::size_t tail{100};
};
// Lines with the service's name before them. `write` returns false when nobody reads any more.
void dev_logs(const Workspace& workspace, const DevLogs& request, const std::function<bool(std::string_view)>& write, const Limits& limits);

}  // namespace codops::ops::dev

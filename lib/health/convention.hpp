#pragma once
// Checks that nobody had to write down: found from what is known of an environment. Pure.
#include <memory>
#include <string>
#include <vector>

#include "lib/health/check.hpp"

namespace codops::health {

struct ConventionFacts {
  struct Port {
    std::string host_address;  // "0.0.0.0", "127.0.0.1", "::"; empty: any
    std::uint16_t published{}, container{};
    std::string protocol{"tcp"};
  };
  struct Service {
    std::string name;
    std::vector<Port> ports;
    std::string readiness_path;  // from the settings; empty: /health, /ready and /live are tried
    bool one_shot{false};        // others wait for its end
  };
  std::vector<Service> services;
  std::string engine_address{"127.0.0.1"};  // where published ports are reached
  std::string front_door_url, front_door_ca;  // empty url: none is known
  std::string server_name;                    // for TLS on a published port; empty: the address must be in the certificate
  std::string database_url, redis_url;        // from the environment's files; empty: none; one that can't be read makes its check unknown
  std::string database_name{"the database URL"};  // as a message calls it
  std::optional<Failure> database_trouble, redis_trouble;  // why their pieces (DB_HOST, …) can't be read: unknown, too
  io::Via database_via, redis_via;            // how to reach them where the URL names a service inside
  ListContainers containers;  // empty: no engine to ask
};

struct Convention {
  std::vector<Check> checks;
  // Names of checks of which a service need offer only some: see keep_offered().
  std::vector<std::vector<std::string>> alternatives;
  std::vector<std::shared_ptr<void>> alive;  // ways to containers that the checks use
};

Convention conventional_checks(const ConventionFacts& facts);

// Takes the paths away that answered 404 beside one of the same service that did not; where none is offered, one
// warning stays.
Report keep_offered(Report report, const std::vector<std::vector<std::string>>& alternatives);

}  // namespace codops::health

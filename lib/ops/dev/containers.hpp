#pragma once
// The compose file's services as docker compose would make them, one container each, with its labels; codops and docker
// compose see the same containers.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/step_graph.hpp"

namespace codops::ops::dev {

// Is it up as the file says (running, healthy; a one-shot: ended with 0)?
scaffold::dev::Finding look_at_service(const Workspace& workspace, const std::string& service, const scaffold::dev::Ledger& ledger, const Limits& limits);
// Networks and volumes of the whole project. Made by one step: the engine would make two of one name for two that ask at once.
scaffold::dev::Finding look_at_networks(const Workspace& workspace, const Limits& limits);
std::string make_networks(const Workspace& workspace, const Limits& limits);
// An engine that a killed run had asked goes on making its network, beside the next run's: two of one name, which no container can
// join. True when one was removed.
bool merge_twin_networks(const Workspace& workspace, const Limits& limits);
// Image, container; then waits until it is healthy. Returns what to show. A container that has to be made
// anew keeps its volumes, unnamed ones included.
std::string bring_up(const Workspace& workspace, const std::string& service, scaffold::dev::Ledger& ledger, const scaffold::dev::Progress& progress, Reporter& reporter,
                     const Clock& clock, const Limits& limits);
// In the ledger, with the container's id: `--down` stopped it.
std::string stopped_key(const std::string& service);
// Is it one that others wait for to end?
bool is_one_shot(const compose::Project& project, const std::string& service);

struct ServiceContainer {
  std::string service, id, name, state, project;
};
std::vector<ServiceContainer> containers_of(const Workspace& workspace, const Limits& limits);
// Those that were made from this folder's compose file, told by the engine's labels alone.
std::vector<ServiceContainer> containers_here(const Workspace& workspace, const Limits& limits);
// Throws Failure{config} when containers of that project belong to another checkout, or were deployed by codops.
void require_ours(const Workspace& workspace, const Limits& limits);
// Throws Failure{failed} when others' containers have one of its volumes: it could not be removed, and nothing is to go by halves.
void require_unused_volumes(const Workspace& workspace, const Limits& limits);
void stop_containers(const Workspace& workspace, const Limits& limits);
// Named volumes that the compose file owns and that exist.
std::vector<std::string> volumes_of(const Workspace& workspace, const Limits& limits);
void remove_containers(const Workspace& workspace, const Limits& limits);  // and these volumes

}  // namespace codops::ops::dev

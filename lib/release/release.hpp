#pragma once
// A release: what one deploy made, immutable once recorded. Stored at the target as "meta/releases/NNNNNN.json"; what may
// hold a secret stands apart: container definitions in "secrets/NNNNNN.json", contents of files in "files/SHA256".
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::release {

enum class Role {
  stateless,  // rolls: a new set beside the old
  exclusive,  // can't run twice (publishes a port, fixed name, host network): stop, start
  stateful,   // left alone unless its own definition changed
  one_shot,   // runs to exit 0
  proxy,      // the front: never doubled, reloaded
};
std::string_view to_string(Role role);

struct Member {
  std::string container;  // name, unique on the engine
  std::string address;    // on the traffic network; empty where it has none
  int number{};           // 1, 2, …: compose's container-number

  bool operator==(const Member&) const = default;
};

// A file that travels with the release: a read-only bind mount, config or secret from inside the project directory.
struct FileRef {
  std::string target;  // absolute path in the container
  std::string sha256;  // of its content; names the blob in the state
  int mode{0644};
  int uid{0}, gid{0};
  bool secret{false};  // one of compose's secrets: its content is not shown
  bool mounted{false};  // from the state's volume: nothing can be put into the container there
  bool link{false};     // a symbolic link, and its content is what it leads to, within the container

  // Whether the container has the same.
  bool operator==(const FileRef& other) const {
    return target == other.target && sha256 == other.sha256 && mode == other.mode && uid == other.uid && gid == other.gid && link == other.link;
  }
};

struct ServiceRecord {
  std::string name;
  Role role{Role::stateless};
  std::string image;      // as configured: "ghcr.io/shop/backend:v1.1.0"
  std::string image_id;   // "sha256:…" of the engine
  std::string digest;     // of the registry; empty for images that exist only on the engine
  std::string hash;       // of definition, environment and files: what decides whether it changed
  bool has_spec{true};    // a definition is stored: its containers can be made again
  std::string networks;   // JSON object: user networks and aliases beside the traffic network
  std::vector<FileRef> files;
  std::vector<std::string> aliases;    // of a rolling service on the traffic network, beside its own name
  std::vector<std::string> depends_on;
  std::string ready;      // JSON object: how readiness is judged
  int port{0};            // its upstream's port behind the proxy; 0: not behind it
  bool led{false};        // the proxy's files send requests to that port
  bool sticky{false};     // clients stay on one container (ip_hash)
  int replicas{1};
  int configured_replicas{1};  // what the compose file says: a changed value there wins over a scaled count
  int stop_grace_seconds{10};
  // Of resources as asked for, by the engine's names ("Memory": "268435456"); nullopt: recorded before codops kept them.
  std::optional<std::map<std::string, std::string>> limits;
  std::string restart{"no"};  // policy while it serves: "no", "always", "unless-stopped", "on-failure:3"
  int set{};              // the release that made its members
  std::vector<Member> members;

  bool same_definition(const ServiceRecord& other) const { return hash == other.hash && image_id == other.image_id; }
};

// Of networks and volumes, by "network NAME" and "volume NAME": what they were asked to be, never a secret.
using Definitions = std::map<std::string, std::map<std::string, std::string>>;

struct Release {
  int number{};
  std::string version;
  std::string environment;
  std::string project;
  std::string by;      // who
  std::string host;    // from where
  std::string commit;  // of the checkout; empty outside git
  WallTime created{};
  std::string config_hash;  // over all services
  std::vector<ServiceRecord> services;  // in the order of their dependencies
  std::vector<std::string> migrations;  // the newest known to this version, by name; empty: none
  Definitions definitions;  // empty: recorded before codops kept them
  std::string upstreams;    // the proxy's upstream file once settled
  bool adopted{false};      // made by docker compose or rebuilt from labels, not by codops' record

  const ServiceRecord* service(const std::string& name) const;
};

std::string to_json(const Release& release);
// Throws Failure{data} for a newer format or a damaged text.
Release release_from_json(const std::string& text);

// One line of the history. Each carries the hash of the one before, so that a removed or altered entry shows.
struct HistoryEntry {
  int number{};
  std::string action;   // deploy, rollback, scale, restart, down, recovered
  int release{};
  int from{};
  std::string version, from_version;
  WallTime started{}, ended{};
  std::string by, host;
  std::string result;   // ok, failed, undone, interrupted
  int exit{};
  std::string message;  // of the failure
  std::string failed_step;
  std::string run;      // names its journal and evidence
  std::string previous; // hash of the entry before; empty for the first
  std::string hash;     // of this entry without the hash itself
};

std::string to_json(const HistoryEntry& entry);
HistoryEntry history_from_json(const std::string& text);
// Sets previous and hash.
void seal(HistoryEntry& entry, const std::string& previous_hash);
// Numbers of entries whose hash is wrong or whose predecessor isn't the one they name.
std::vector<int> broken_links(const std::vector<HistoryEntry>& history);

}  // namespace codops::release

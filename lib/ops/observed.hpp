#pragma once
// What there is on the engine, of one project.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/release/release_store.hpp"
#include "lib/target/containers.hpp"

namespace codops::ops {

// Labels beside compose's own. Everything that codops makes carries `label_token`, the run that made it.
inline constexpr const char* label_environment = "codops.environment";
inline constexpr const char* label_release = "codops.release";
inline constexpr const char* label_version = "codops.version";
inline constexpr const char* label_hash = "codops.hash";
inline constexpr const char* label_token = "codops.token";
inline constexpr const char* label_role = "codops.role";
inline constexpr const char* label_container = "codops.container";  // the name that a member was made with
inline constexpr const char* label_owner = "codops.owner";  // of `codops run`: the process that waits for it
inline constexpr const char* one_off_token = "run";  // of `codops run`, which is no run with a journal

// A volume by its name, or a folder of the host by its path.
struct ObservedMount {
  std::string source, destination;
  bool volume{false};
  bool writable{true};
};

struct ObservedContainer {
  std::string id;
  std::string name;
  std::string service;
  std::string image;
  std::string image_id;
  target::RunState state{};
  target::HealthState health{};
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> addresses;  // network → IPv4, pinned or current
  std::string restart_policy;
  std::map<std::string, std::string> limits;  // of resources, by the engine's names
  std::int64_t exit_code{};
  bool oom_killed{false};
  std::int64_t restart_count{};
  WallTime created{}, started{}, finished{};
  std::vector<std::string> ports;  // "0.0.0.0:443->8443/tcp"
  std::vector<ObservedMount> mounts;  // volumes and binds

  bool running() const { return state == target::RunState::running || state == target::RunState::restarting; }
  bool is_up() const { return running() || state == target::RunState::paused; }
};

// Empty: it has no such label.
std::string label_of(const ObservedContainer& container, const char* name);

struct TrafficNetwork {
  std::string name;    // "shop_codops"
  std::string subnet;  // "172.20.0.0/16"; empty: not known yet (a dry run before the first deploy)
  bool exists{false};
};

struct Observed {
  std::vector<ObservedContainer> containers;  // of the project, stopped ones too, one-off ones not
  std::vector<std::string> hooks;             // ids of containers that hooks run in
  struct OneOffContainer {
    std::string id, name, owner;              // owner: the label's value
  };
  std::vector<OneOffContainer> one_offs;      // of `codops run`
  std::vector<std::string> networks;          // names of those that exist
  std::vector<std::string> volumes;
  release::Definitions definitions;           // of both
  TrafficNetwork traffic;
  std::optional<std::string> upstreams;       // the file in the proxy that runs; empty: it is gone; nullopt: there is no such proxy
  std::vector<std::string> edited;            // files of the release inside the proxy that runs which somebody changed or removed
  release::Snapshot snapshot;
  WallTime now{};  // the engine's clock

  const ObservedContainer* container(const std::string& name) const;
  // What was made as `name` and has another name since; nullptr where `name` is there, or nothing says that it was made so (before codops
  // wrote it on each). Not by release and number: a service that was scaled down and up again has had several of those.
  const ObservedContainer* renamed(const std::string& name) const;
};

// Whether a file of a container was changed by hand: what codops put there has no date (1970), and what an image's own start script made of
// it is dated about the start.
bool is_edited(const ObservedContainer& container, WallTime written);

// The release that serves: by record, with what others started in place of its containers (others.hpp); without one (taken over from docker
// compose, which may have replaced all that was deployed, or the state was lost) made up from labels, what runs and where the proxy leads;
// nullopt: nothing is deployed.
std::optional<release::Release> serving(const Observed& observed, const std::string& project);

// Whether it is the one that the record says serves: what was made up has no place there yet.
bool is_on_record(const Observed& observed, const release::Release& release);

// The highest number that a release on record has, or that a container was made for: below it a name may be taken.
int highest_release(const Observed& observed);

// The step that moves traffic to the new set, by its index.
std::optional<std::size_t> switch_of(const plan::Plan& plan);
// Whether the proxy leads where the run's switch led it, with the old set behind it or without.
bool traffic_moved(const plan::Plan& plan, const Observed& observed);

// A one-shot whose container is gone has done its work, and what had ended was pruned; unless what it may have worked on went as well.
bool is_pruned(const Observed& observed, const release::Release& release, const release::Member& member);

// What somebody changed of a running container that its release wants as it was made, for people; empty: nothing.
std::string altered(const Observed& observed, const release::ServiceRecord& service, const release::Member& member,
                    const ObservedContainer& container);

// Whether a member runs and is not on the network where traffic reaches it, or it reaches others.
bool is_cut_off(const Observed& observed, const release::Member& member);

// Whether the proxy reads other upstreams than the release has on record (and no maintenance page is meant to stand there).
bool leads_elsewhere(const Observed& observed, const release::Release& release);

// What the proxy's upstream file must hold, by its size and time alone: that of the release that serves, where the last run that ended
// well wrote it and nothing is under way. nullopt: read it.
std::optional<std::string> upstreams_by_stat(const release::Snapshot& snapshot, std::uint64_t size, const std::optional<WallTime>& written);

// old_set: running: the release whose set was left running when traffic moved last; 0: none.
int resting_release(const Observed& observed, bool old_set_running);

}  // namespace codops::ops

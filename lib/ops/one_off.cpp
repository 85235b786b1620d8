#include "lib/ops/one_off.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/lock.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/tar.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/observe.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

class RemovedAfterwards {
 public:
  RemovedAfterwards(engine::docker::Api& api, std::string name) : api_{api}, name_{std::move(name)} {}
  ~RemovedAfterwards() {
    if (name_.empty()) return;
    try {
      api_.remove_container(name_, true, true, Limits{}.within(Milliseconds{10'000}));
    } catch (const Failure&) {
      // The next changing command finds it by its label (left_by_the_dead).
    }
  }
  void keep() { name_.clear(); }
  RemovedAfterwards(const RemovedAfterwards&) = delete;
  RemovedAfterwards& operator=(const RemovedAfterwards&) = delete;

 private:
  engine::docker::Api& api_;
  std::string name_;
};

// Made, on its networks, with its files; not started.
std::string make_one_off(Host& host, const OneOff& one_off, const std::vector<std::string>& argv, const release::Release* given, bool with_input, const Limits& limits) {
  auto& api = host.api();
  std::optional<release::Release> loaded;
  if (given == nullptr) {
    const auto snapshot = host.store().load(limits);
    host.require_owner(snapshot);
    if (const auto* current = snapshot.current()) loaded = *current;
    if (!loaded) {
      throw Failure{Exit::failed, fmt::format("nothing that codops deployed runs in {}", host.environment().name),
                    fmt::format("codops deploy {} VERSION", host.environment().name)};
    }
    given = &*loaded;
  }
  const auto* service = given->service(one_off.service);
  const auto specs = host.store().load_specs(*given, limits);
  const auto spec = specs.find(one_off.service);
  if (service == nullptr || spec == specs.end()) {
    std::vector<std::string> names;
    for (const auto& known : given->services) names.push_back(known.name);
    throw Failure{Exit::usage, fmt::format("release {} has no service \"{}\"", given->number, one_off.service), fmt::format("there are: {}", fmt::join(names, ", "))};
  }
  auto body = Json::parse(spec->second.reveal());
  body["Image"] = service->image_id;
  body["Cmd"] = argv;
  body["Entrypoint"] = Json::array();
  body["Tty"] = one_off.tty;
  body["OpenStdin"] = body["StdinOnce"] = body["AttachStdin"] = with_input;
  body.erase("Healthcheck");
  body.erase("ExposedPorts");
  auto& settings = body["HostConfig"];
  settings.erase("PortBindings");
  settings["RestartPolicy"] = {{"Name", "no"}};
  for (const auto& [name, value] : one_off.env) body["Env"].push_back(name + "=" + value);
  const auto name = fmt::format("{}-{}-run-{}", host.project(), one_off.service, io::to_hex(io::random_bytes(4)));
  body["Labels"]["com.docker.compose.project"] = host.project();
  body["Labels"]["com.docker.compose.service"] = one_off.service;
  body["Labels"]["com.docker.compose.oneoff"] = "True";
  body["Labels"][label_environment] = host.environment().name;
  body["Labels"][label_token] = one_off.token;
  if (one_off.token == one_off_token) body["Labels"][label_owner] = engine::docker::owner_text(release::this_process("run"));
  add_mounts(body, service->files, api, host.project(), limits);
  const auto networks = service->networks.empty() ? Json::object() : Json::parse(service->networks);
  bool first = true;
  for (const auto& [network, endpoint] : networks.items()) {
    if (first) settings["NetworkMode"] = network;
    first = false;
  }
  api.create_container(name, body, limits);
  RemovedAfterwards guard{api, name};
  first = true;
  for (const auto& [network, endpoint] : networks.items()) {
    if (!first) api.connect_network(network, name, {}, limits);
    first = false;
  }
  // Callers by name: it reaches the rolling services as every container of the project does.
  if (const auto traffic = traffic_network_name(host.project()); !networks.empty() && api.find_network(traffic, limits)) {
    api.connect_network(traffic, name, {}, limits);
  }
  std::vector<io::TarEntry> entries;
  for (const auto& file : service->files) {
    if (file.mounted) continue;
    auto content = host.store().load_blob(file.sha256, limits);
    if (!content) continue;
    entries.push_back(entry_of(file, std::move(*content)));
  }
  if (!entries.empty()) api.put_archive(name, "/", io::write_tar(entries), limits);
  guard.keep();
  return name;
}

}  // namespace

int run_one_off(Host& host, const OneOff& one_off, const release::Release* release, const Limits& limits, const target::ExecStreams& streams) {
  auto& api = host.api();
  const auto name = make_one_off(host, one_off, one_off.argv, release, static_cast<bool>(streams.in), limits);
  const RemovedAfterwards guard{api, name};
  const auto drop = [](std::string_view) {};
  const auto& out = streams.out ? streams.out : drop;
  const auto& err = streams.err ? streams.err : drop;
  try {
    if (streams.in) {
      // Attached before it starts: nothing that it reads or writes is missed.
      api.run_attached(name, [&] { api.start_container(name, limits); }, streams.in, out, err, limits);
      return api.wait_container(name, "not-running", limits);
    }
    api.start_container(name, limits);
  } catch (const Failure&) {
    const auto details = api.find_container(name, limits);
    const bool no_such_command = details && (details->exit_code == 126 || details->exit_code == 127);
    if (!no_such_command) throw;
    // As a shell has it, and as on Kubernetes.
    if (streams.err) streams.err(fmt::format("{} can't be run in {}: {}\n", one_off.argv.front(), one_off.service, details->error));
    return static_cast<int>(details->exit_code);
  }
  api.logs(name, {.tail = {}, .follow = true, .timestamps = false, .since = {}, .until = {}}, out, err, limits);
  return api.wait_container(name, "not-running", limits);
}

std::vector<Observed::OneOffContainer> left_by_the_dead(const Observed& observed) {
  std::vector<Observed::OneOffContainer> left;
  const auto here = release::this_process("look");
  for (const auto& one : observed.one_offs) {
    const auto owner = engine::docker::owner_from(one.owner);
    if (owner.pid == 0 || owner.boot_id != here.boot_id || owner.pid_namespace != here.pid_namespace) continue;
    if (!release::process_alive(owner.pid, owner.start_time)) left.push_back(one);
  }
  return left;
}

void with_resting_one_off(Host& host, const OneOff& one_off, const Limits& limits, const std::function<void(const std::string&)>& act) {
  auto& api = host.api();
  // Something that stays until it is removed; the command itself runs by exec, with the caller's terminal.
  const auto name = make_one_off(host, {one_off.service, one_off.argv, one_off.env, false}, {"sleep", "86400"}, nullptr, false, limits);
  const RemovedAfterwards guard{api, name};
  api.start_container(name, limits);
  act(name);
}

}  // namespace codops::ops

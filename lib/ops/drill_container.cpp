#include "lib/ops/drill_container.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "lib/backup/scratch_server.hpp"
#include "lib/base/units.hpp"
#include "lib/base/without_secret.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/lock.hpp"
#include "lib/engine/docker/objects.hpp"
#include "lib/engine/docker/stream_frames.hpp"
#include "lib/io/crypto.hpp"
#include "lib/ops/database.hpp"
#include "lib/ops/images.hpp"
#include "lib/ops/observed.hpp"
#include "lib/release/lock.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using engine::docker::ApiError;
using engine::docker::ImageDetails;

constexpr std::string_view role = "drill";
constexpr auto default_network = "bridge";
constexpr std::uint16_t port = 5432;
constexpr Milliseconds start_patience{120'000}, reach_patience{30'000}, log_patience{5'000}, end_patience{30'000};
constexpr std::size_t shown_lines = 12;

// The container's first process: when its stdin ends so does it, and the kernel ends all else with it. While it lives the logs of a server that ended
// can be read. Its own words are the only ones on stdout: "none", "ready", "ended 1".
constexpr auto keeper =
    "for name in postgres pg_isready; do command -v \"$name\" >/dev/null || { echo none; exit; }; done\n"
    "{ \"$@\" >&2; echo \"ended $?\"; } &\n"
    "{ until pg_isready -q -h 127.0.0.1 -U postgres -d postgres; do sleep 0.2; done; echo ready; } &\n"
    "cat >/dev/null";

std::string label_of(const std::map<std::string, std::string>& labels, std::string_view name) {
  const auto found = labels.find(std::string{name});
  return found == labels.end() ? std::string{} : found->second;
}

void sweep(Host& host, const Limits& limits) {
  auto& api = host.api();
  const auto here = release::this_process("drill");
  for (const auto& container : api.containers({{"label", {fmt::format("{}={}", engine::docker::role_label, role)}}}, true, limits)) {
    if (!is_left(container, here, host.api_clock(), release::process_alive)) continue;
    try {
      api.remove_container(container.id, true, true, limits.within(end_patience));
    } catch (const Failure& failure) {
      limits.check("removing what a drill that was killed left");
      host.reporter().warn(fmt::format("the container {} of a drill that was killed is left: {}; docker rm -fv {}", container.name, failure.message(), container.name));
    }
  }
}

ImageDetails image_on_engine(Host& host, const std::string& image, const std::string& shown, const Limits& limits) {
  auto& api = host.api();
  if (auto found = api.find_image(image, limits)) return std::move(*found);
  if (image.starts_with("sha256:")) {
    throw Failure{Exit::unavailable, fmt::format("\"{}\", as the database's container has it, is an image of the engine no more", shown), "name one: --image IMAGE"};
  }
  const auto name = engine::docker::parse_image_name(image);
  const auto start = host.clock().steady();
  const auto tell = [&](Event::Kind kind, std::optional<Milliseconds> took) { host.reporter().report({kind, "pull", shown, {}, took, {}, {}}); };
  tell(Event::Kind::started, {});
  const auto& patience = host.environment().timeouts.pull;
  try {
    api.pull_image(name, {}, [](const engine::docker::PullProgress&) {}, limits.within(patience));
    if (auto found = api.find_image(image, limits)) {
      tell(Event::Kind::done, std::chrono::duration_cast<Milliseconds>(host.clock().steady() - start));
      return std::move(*found);
    }
  } catch (const Failure& failure) {
    tell(Event::Kind::failed, {});
    limits.check("pulling the image");
    const auto why = failure.code() == Exit::deadline ? fmt::format("pulling it did not end within {}", format_duration(patience)) : failure.message();
    const auto hinted = with_login_hint(Failure{Exit::unavailable, why}, name.registry);
    throw Failure{Exit::unavailable, fmt::format("the engine has no image \"{}\", and it can't be had: {}", shown, why),
                  hinted.hint().empty() ? fmt::format("docker pull {}, or another: --image IMAGE", shown) : hinted.hint()};
  }
  throw Failure{Exit::unavailable, fmt::format("the engine has no image \"{}\" though it was pulled", shown)};
}

class ContainerServer final : public DrillServer {
 public:
  ContainerServer(Host& host, std::string shown) : host_{host}, shown_{std::move(shown)} {
    password_ = Secret{io::to_hex(io::random_bytes(16))};
    name_ = fmt::format("codops-drill-{}-{}", host.project(), io::to_hex(io::random_bytes(4)));
  }
  ContainerServer(const ContainerServer&) = delete;
  ContainerServer& operator=(const ContainerServer&) = delete;

  ~ContainerServer() override {
    endpoint_.reset();
    if (!made_) return;
    try {
      host_.api().remove_container(name_, true, true, Limits{}.within(end_patience));
    } catch (const Failure& failure) {
      // The engine ends and removes it when input_ is gone, at the latest with us.
      host_.reporter().warn(fmt::format("the drill's container was not removed: {}; should it still be there: docker rm -fv {}", failure.message(), name_));
    }
  }

  io::postgres::Target target() const override { return target_; }
  std::string id() const override { return id_; }
  std::string name() const override { return name_; }

  std::string ended() override {
    try {
      // A client may know before the engine does.
      const auto soon = Limits{}.within(Milliseconds{500});
      for (;;) {
        if (const auto said = word(soon); said.starts_with("ended")) return end_of(said);
      }
    } catch (const Failure& failure) {
      return failure.code() == Exit::deadline ? std::string{} : failure.message();
    }
  }

  void start(const ImageDetails& image, const Limits& limits) {
    make(image, limits);
    auto& api = host_.api();
    input_ = api.attach_input(id_, limits.within(reach_patience));
    try {
      api.start_container(id_, limits);
    } catch (const ApiError& error) {
      // So it answers when the image has no shell.
      if (error.status() != 400) throw;
      throw Failure{Exit::unavailable, fmt::format("\"{}\" is no image of PostgreSQL that a drill can use: {}", shown_, error.message()), "name another: --image IMAGE"};
    }
    await(limits);
    target_.user = target_.database = "postgres";
    target_.password = password_;
    // No certificate there, whatever the caller's own variables want of servers elsewhere.
    target_.options["sslmode"] = "disable";
    endpoint_ = host_.dialer().dial(id_, port, limits.within(reach_patience));
    go_by(*endpoint_, target_);
    io::postgres::Connection::open_when_ready(target_, limits.within(reach_patience));
  }

 private:
  void make(const ImageDetails& image, const Limits& limits) {
    auto argv = image.entrypoint;
    argv.insert(argv.end(), image.cmd.begin(), image.cmd.end());
    auto settings = backup::scratch_settings();
    // Neither statements nor the lines of a COPY: last_lines() may show what is logged.
    settings.insert(settings.end(), {"log_min_error_statement=panic", "log_error_verbosity=terse"});
    for (const auto& setting : settings) {
      argv.emplace_back("-c");
      argv.push_back(setting);
    }
    std::string initdb = "-N";
    for (const auto& variable : image.env) {
      constexpr std::string_view its_own = "POSTGRES_INITDB_ARGS=";
      if (variable.starts_with(its_own)) initdb = variable.substr(its_own.size()) + " " + initdb;
    }
    Json labels{{std::string{engine::docker::role_label}, role}, {std::string{engine::docker::project_label}, host_.project()},
                {label_owner, engine::docker::owner_text(release::this_process("drill"))}};
    // An image that compose built says whose it is, and its containers would be taken for that project's.
    for (const auto& [name, value] : image.labels) {
      if (name.starts_with("com.docker.compose.")) labels[name] = "";
    }
    const bool has_network = host_.api().find_network(default_network, limits).has_value();
    // The password is for one who has the engine to read (docker inspect), as the rows are: the image's entrypoint takes it from nowhere but its environment.
    const Json body{
        {"Image", image.id},
        {"Entrypoint", {"sh", "-c", keeper, "drill"}},
        {"Cmd", argv},
        {"Env", {"POSTGRES_USER=postgres", "POSTGRES_DB=postgres", "POSTGRES_PASSWORD=" + password_.reveal(), "POSTGRES_INITDB_ARGS=" + initdb,
                 // An image of one's own may let everybody in.
                 "POSTGRES_HOST_AUTH_METHOD="}},
        {"Labels", labels},
        {"OpenStdin", true},
        {"StdinOnce", true},
        {"AttachStdin", true},
        {"Tty", false},
        {"Healthcheck", {{"Test", {"NONE"}}}},
        {"HostConfig",
         {{"AutoRemove", true},
          // Without it the server is reached by an exec.
          {"NetworkMode", has_network ? default_network : "none"},
          {"RestartPolicy", {{"Name", "no"}}},
          // Where memory runs out, this goes before what serves.
          {"OomScoreAdj", 500},
          // For parallel workers; the engine's 64 MB are too few.
          {"ShmSize", 1U << 30U},
          // What an image of one's own would fill a new cluster with is no part of the backup.
          {"Tmpfs", {{"/docker-entrypoint-initdb.d", ""}}},
          // What it logs all the same is nowhere but here, and gone with it.
          {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "1m"}}}}}}}};
    // Not broken off in between: whoever is not told of the container can't remove it.
    made_ = true;
    id_ = host_.api().create_container(name_, body, Limits{}.within(reach_patience)).id;
    limits.check("making the drill's container");
  }

  // Until it serves.
  void await(const Limits& limits) {
    const auto patience = limits.within(start_patience);
    std::string said;
    try {
      said = word(patience);
    } catch (const Failure& failure) {
      limits.check("starting the drill's server");
      if (failure.code() != Exit::deadline) throw;
      throw Failure{Exit::unavailable, fmt::format("no PostgreSQL of \"{}\" serves after {}{}", shown_, format_duration(start_patience), last_lines()), "name another: --image IMAGE"};
    }
    if (said == "ready") return;
    if (said == "none") {
      throw Failure{Exit::unavailable, fmt::format("\"{}\" is no image of PostgreSQL: it has no postgres and pg_isready in its PATH{}", shown_, last_lines()), "name another: --image IMAGE"};
    }
    throw Failure{Exit::unavailable, end_of(said), "what it says; or another image: --image IMAGE"};
  }

  // The next of keeper's words. Failure{unavailable}: the container is gone.
  std::string word(const Limits& limits) {
    std::array<char, 4096> buffer;
    for (;;) {
      if (const auto end = said_.find('\n'); end != std::string::npos) {
        auto found = said_.substr(0, end);
        said_.erase(0, end + 1);
        return found;
      }
      const auto count = input_->read(buffer.data(), buffer.size(), limits);
      if (count == 0) throw Failure{Exit::unavailable, fmt::format("the container of \"{}\" has ended", shown_)};
      frames_.feed({buffer.data(), count});
    }
  }

  std::string end_of(const std::string& said) const {
    return fmt::format("PostgreSQL of \"{}\" ended{}{}", shown_, said.starts_with("ended ") ? " with exit code " + said.substr(6) : "", last_lines());
  }

  // Of a container that may be gone: then there are none.
  std::string last_lines() const {
    std::string text;
    try {
      for (const auto& line : host_.containers().last_logs(id_, shown_lines, Limits{}.within(log_patience))) {
        if (line != "none" && line != "ready" && !line.starts_with("ended ")) text += "\n  │ " + without_secret(line, password_);
      }
    } catch (const Failure&) {
      return {};
    }
    return text;
  }

  Host& host_;
  std::string shown_, name_, id_, said_;
  bool made_{};
  Secret password_;
  io::postgres::Target target_;
  engine::docker::StreamFrames frames_{[this](std::string_view bytes) { said_ += bytes; }, {}};
  // Its end is the container's.
  std::unique_ptr<io::Duplex> input_;
  std::unique_ptr<target::Endpoint> endpoint_;
};

}  // namespace

bool is_left(const engine::docker::ContainerSummary& container, const target::LockOwner& here, WallTime now,
             const std::function<bool(std::int64_t pid, std::uint64_t start_time)>& process_alive) {
  using engine::docker::RunState;
  constexpr std::chrono::seconds long_ago{3600};
  if (container.state == RunState::exited || container.state == RunState::dead) return true;
  const auto owner = engine::docker::owner_from(label_of(container.labels, label_owner));
  if (owner.pid != 0 && owner.boot_id == here.boot_id && owner.pid_namespace == here.pid_namespace) return !process_alive(owner.pid, owner.start_time);
  if (!owner.host.empty() && owner.host == here.host && owner.boot_id != here.boot_id) return true;
  return container.state == RunState::created && now - WallTime{std::chrono::seconds{container.created}} > long_ago;
}

std::unique_ptr<DrillServer> start_drill_server(Host& host, const std::string& image, const std::string& shown, const Limits& limits) {
  const auto details = image_on_engine(host, image, shown, limits);
  sweep(host, limits);
  auto server = std::make_unique<ContainerServer>(host, shown);
  server->start(details, limits);
  return server;
}

}  // namespace codops::ops

#include "lib/backup/scratch_server.hpp"

#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "lib/backup/scratch_folder.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/process.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

constexpr int newest_major = 30;

std::optional<fs::path> server_folder(int major) {
  for (int version = std::max(major, 9); version <= newest_major; ++version) {
    for (const auto& folder : {fmt::format("/usr/lib/postgresql/{}/bin", version), fmt::format("/usr/pgsql-{}/bin", version)}) {
      if (io::find_program(folder + "/postgres") && io::find_program(folder + "/initdb")) return folder;
    }
  }
  return std::nullopt;
}

// postgres refuses to run as root. Who changes its user loses the signal that ends it with us, unless it is set again.
std::vector<std::string> as_server(std::vector<std::string> argv) {
  if (::geteuid() != 0) return argv;
  std::vector<std::string> all{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=QUIT"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

}  // namespace

const std::vector<std::string>& scratch_settings() {
  static const std::vector<std::string> settings{"fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=4GB", "maintenance_work_mem=256MB"};
  return settings;
}

bool ScratchServer::possible(int major) { return server_folder(major).has_value(); }

struct ScratchServer::State {
  ScratchFolder folder;
  std::unique_ptr<io::Child> server;
};

ScratchServer::ScratchServer(int major, const Limits& limits) {
  sweep_scratch(scratch_parent(), limits);
  const auto programs = server_folder(major);
  if (!programs) {
    throw Failure{Exit::unavailable, fmt::format("no PostgreSQL {} server is installed here for a drill", major),
                  fmt::format("apt-get install postgresql-{0}, a container with --image postgres:{0}, name a server with --server-env, or take the environment's own with --same-server", major)};
  }
  state_ = std::make_unique<State>();
  const auto data = state_->folder.data().string();
  io::capture({as_server({(*programs / "initdb").string(), "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8",
                          "--locale=C.UTF-8", "--no-sync"}),
               io::usual_environment(), {}, state_->folder.path()},
              limits);
  std::vector<std::string> argv{(*programs / "postgres").string(), "-D", data, "-k", state_->folder.path().string(), "-c", "listen_addresses="};
  for (const auto& setting : scratch_settings()) {
    argv.emplace_back("-c");
    argv.push_back(setting);
  }
  io::Program program{as_server(std::move(argv)), io::usual_environment(), {}, state_->folder.path()};
  state_->server = std::make_unique<io::Child>(program, io::Child::Stdio{});
  io::postgres::Connection::open_when_ready(target(), limits.within(Milliseconds{60'000}));
}

ScratchServer::~ScratchServer() {
  // Sessions of a drill that failed need not be waited for.
  state_->server->signal_group(SIGQUIT);
  state_->server->wait(Limits{}.within(Milliseconds{10'000}));
  state_->server.reset();
}

io::postgres::Target ScratchServer::target() const {
  io::postgres::Target target;
  target.host = state_->folder.path().string();
  target.port = "5432";
  target.user = "postgres";
  target.database = "postgres";
  return target;
}

}  // namespace codops::backup

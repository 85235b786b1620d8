#include "tests/support/postgres_server.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace codops::tests {

namespace {

namespace fs = std::filesystem;

std::string binaries() {
  if (const char* given = std::getenv("CODOPS_PG_BIN")) return given;
  for (int version = 20; version >= 12; --version) {
    const auto folder = fmt::format("/usr/lib/postgresql/{}/bin", version);
    if (fs::exists(folder + "/postgres")) return folder;
  }
  return {};
}

// postgres refuses to run as root.
std::vector<std::string> as_postgres(std::vector<std::string> argv, bool dies_with_us) {
  std::vector<std::string> prefix{"setpriv"};
  if (dies_with_us) prefix.insert(prefix.end(), {"--pdeathsig", "INT"});
  if (::geteuid() == 0) prefix.insert(prefix.end(), {"--reuid=postgres", "--regid=postgres", "--clear-groups"});
  prefix.insert(prefix.end(), argv.begin(), argv.end());
  return prefix;
}

pid_t spawn(const std::vector<std::string>& argv, const std::string& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<char*> pointers;
  for (const auto& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error{"can't start " + argv[0]};
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string slurp(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::string temporary_folder() {
  std::string path = "/tmp/codops-pg-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
  if (::geteuid() == 0) {
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr) throw std::runtime_error{"no user postgres"};
    if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error{"chown"};
  }
  return path;
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error{"no free port"};
  return ntohs(address.sin_port);
}

void execute(const std::vector<std::string>& argv, const std::string& log) {
  if (const int code = wait_for(spawn(argv, log)); code != 0) throw std::runtime_error{argv[0] + ": " + slurp(log)};
}

// initdb takes a second; every server after the first is a copy of the first one's empty cluster.
struct Cluster {
  std::string folder;
  Cluster() : folder{temporary_folder()} {
    std::ofstream{folder + "/password"} << PostgresServer::password;
    execute(as_postgres({binaries() + "/initdb", "-D", folder + "/data", "-U", "postgres", "--auth-local=trust",
                         "--auth-host=scram-sha-256", "--pwfile=" + folder + "/password", "-E", "UTF8",
                         "--locale=C.UTF-8", "--no-sync"},
                        true),
            folder + "/initdb.log");
  }
  ~Cluster() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
};

const Cluster& cluster() {
  static const Cluster cluster;
  return cluster;
}

template <typename Make>
auto or_skip(const Make& make) -> decltype(make()) {
  std::string why;
  if (binaries().empty()) {
    why = "no PostgreSQL server programs are installed";
  } else {
    try {
      return make();
    } catch (const std::exception& error) {
      why = error.what();
    }
  }
  const char* required = std::getenv("CODOPS_REQUIRE_SERVICES");
  if (required != nullptr && std::string{required} == "1") {
    FAIL_CHECK("PostgreSQL can't be had: " << why);
  } else {
    MESSAGE("skipped: PostgreSQL can't be had: " << why);
  }
  return {};
}

}  // namespace

PostgresServer* PostgresServer::shared() {
  cluster();  // made first, so that it outlives the server
  static const std::unique_ptr<PostgresServer> server = start();
  return server.get();
}

std::unique_ptr<PostgresServer> PostgresServer::start(const PostgresOptions& options) {
  return or_skip([&] {
    std::unique_ptr<PostgresServer> server{new PostgresServer};
    server->options_ = options;
    server->folder_ = temporary_folder();
    execute({"cp", "-a", cluster().folder + "/data", server->folder_ + "/data"}, server->folder_ + "/cp.log");
    server->port_ = free_port();
    server->launch();
    return server;
  });
}

std::unique_ptr<PostgresServer> PostgresServer::standby() const {
  return or_skip([&] {
    std::unique_ptr<PostgresServer> server{new PostgresServer};
    server->options_ = options_;
    server->folder_ = temporary_folder();
    execute(as_postgres({binaries() + "/pg_basebackup", "-D", server->folder_ + "/data", "-h", folder_, "-p", std::to_string(port_), "-U", "postgres",
                         "-R", "-c", "fast", "--no-sync"},
                        true),
            server->folder_ + "/basebackup.log");
    server->port_ = free_port();
    server->launch();
    return server;
  });
}

void PostgresServer::launch() {
  std::vector<std::string> argv{binaries() + "/postgres", "-D", folder_ + "/data",           "-k", folder_, "-p",
                                std::to_string(port_),    "-c", "listen_addresses=127.0.0.1"};
  if (!options_.durable)
    argv.insert(argv.end(), {"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"});
  for (const auto& setting : options_.settings) argv.insert(argv.end(), {"-c", setting});
  if (!options_.environment.empty()) argv.insert(argv.begin(), options_.environment.begin(), options_.environment.end());
  if (!options_.environment.empty()) argv.insert(argv.begin(), "env");
  pid_ = spawn(as_postgres(argv, true), folder_ + "/server.log");
  try {
    io::postgres::Connection::open_when_ready(local(), Limits{Deadline::after(std::chrono::seconds{20}), {}});
  } catch (const std::exception&) {
    throw std::runtime_error{slurp(folder_ + "/server.log")};
  }
}

PostgresServer::~PostgresServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGQUIT);
    wait_for(pid_);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void PostgresServer::stop() {
  ::kill(pid_, SIGINT);
  wait_for(pid_);
  pid_ = 0;
}

void PostgresServer::resume() { launch(); }

io::postgres::Target PostgresServer::local(const std::string& database) const {
  io::postgres::Target target;
  target.host = folder_;
  target.port = std::to_string(port_);
  target.user = "postgres";
  target.database = database;
  return target;
}

io::postgres::Target PostgresServer::tcp(const std::string& database) const {
  auto target = local(database);
  target.host = "127.0.0.1";
  target.password = Secret{password};
  return target;
}

std::string PostgresServer::url(const std::string& database) const {
  return fmt::format("postgresql://postgres:{}@127.0.0.1:{}/{}", password, port_, database);
}

std::string PostgresServer::create_database(const std::string& like) {
  static std::atomic<int> counter{0};
  auto name = fmt::format("{}_{}", like, ++counter);
  const Limits limits{Deadline::after(std::chrono::seconds{20}), {}};
  io::postgres::Connection::open(local(), limits)
      .query("CREATE DATABASE " + io::postgres::quote_identifier(name), limits);
  return name;
}

std::string PostgresServer::program(const std::string& name, const std::vector<std::string>& arguments) {
  const auto folder = temporary_folder();
  std::vector<std::string> argv{binaries() + "/" + name};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const int code = wait_for(spawn(argv, folder + "/out"));
  auto output = slurp(folder + "/out");
  fs::remove_all(folder);
  if (code != 0) throw std::runtime_error{name + ": " + output};
  return output;
}

}  // namespace codops::tests

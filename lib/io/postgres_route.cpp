#include "lib/io/postgres_route.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "lib/io/fd.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/io/postgres_refusal.hpp"

namespace codops::io {
namespace {

constexpr auto correct_it = "correct the URL, the PG… variables or the service; no server was asked";

postgres::Parameters parameters_of(const postgres::Target& target) {
  auto out = postgres::parameters_from_environment(target);
  for (const auto& [key, value] : target.options) out[key] = value;
  if (!target.host.empty()) out["host"] = target.host;
  if (!target.port.empty()) out["port"] = target.port;
  if (!target.user.empty()) out["user"] = target.user;
  if (!target.database.empty()) out["dbname"] = target.database;
  if (!target.password.empty()) out["password"] = target.password.reveal();
  // Kerberos would be tried first, and waits for its own servers.
  out.try_emplace("gssencmode", "disable");
  out.try_emplace("application_name", "codops-health-check");
  return out;
}

// What libpq reads on the way, wherever it may hang.
std::vector<std::string> files_of(const postgres::Parameters& parameters) {
  std::vector<std::string> out;
  for (const auto* key : {"sslrootcert", "sslcert", "sslkey", "sslcrl"}) {
    if (const auto found = parameters.find(key); found != parameters.end() && !found->second.empty()) out.push_back(found->second);
  }
  if (const char* services = std::getenv("PGSERVICEFILE"); services != nullptr && *services != '\0') out.emplace_back(services);
  return out;
}

// Touches each once. What is not there, or no file at all, is libpq's to tell.
std::string mistake_in(const std::vector<std::string>& files) {
  for (const auto& file : files) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) continue;
    if (S_ISFIFO(status.st_mode)) return "\"" + file + "\" is a pipe, and PostgreSQL's library wants a file";
    if (!S_ISREG(status.st_mode)) continue;
    const Fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    char first = 0;
    [[maybe_unused]] const auto got = ::read(fd.get(), &first, 1);
  }
  return {};
}

}  // namespace

struct PostgresRoute::Whole {
  postgres::Effective effective;
  std::optional<Failure> trouble;

  static Whole of(const postgres::Parameters& parameters, const std::vector<std::string>& files) {
    Whole out;
    try {
      out.effective.mistake = mistake_in(files);
      if (out.effective.mistake.empty()) out.effective = postgres::effective(parameters);
    } catch (const Failure& failure) {
      out.trouble = failure;
    }
    return out;
  }
};

PostgresRoute::PostgresRoute(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target, Done done)
    : loop_{loop}, resolver_{resolver}, target_{target}, done_{std::move(done)}, start_{std::chrono::steady_clock::now()} {
  timer_ = loop_.after(Milliseconds{0}, [this] {
    timer_.reset();
    begin();
  });
}

PostgresRoute::~PostgresRoute() {
  if (timer_) loop_.cancel(*timer_);
  if (link_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(link_, ignored);
}

void PostgresRoute::begin() {
  parameters_ = parameters_of(target_.target);
  const auto files = files_of(parameters_);
  if (!files.empty()) {
    file_ = listed(files);
    errand_ = start_errand(loop_, [this, parameters = parameters_, files] {
      return [this, whole = Whole::of(parameters, files)] {
        errand_.reset();
        made_whole(whole);
      };
    });
    if (errand_) return;
  }
  made_whole(Whole::of(parameters_, files));
}

void PostgresRoute::made_whole(const Whole& whole) {
  if (whole.trouble) return fail(whole.trouble->message(), whole.trouble->hint());
  if (!whole.effective.mistake.empty()) return fail(postgres::one_line(whole.effective.mistake), correct_it);
  effective_ = whole.effective.parameters;
  const auto hosts = postgres::hosts_of(effective_);
  if (!hosts) return fail("the lists of hosts, addresses and ports are not of the same length", correct_it);
  for (const auto& host : *hosts) {
    if (!postgres::port_number(host.port)) return fail("\"" + host.port + "\" is no port number", correct_it);
  }
  go_to(*hosts);
}

void PostgresRoute::go_to(const std::vector<postgres::Host>& hosts) {
  const auto& via = target_.via;
  auto first = hosts.front();
  if (!via.unix_socket.empty()) {
    first.name = linked(via.unix_socket, first.port);
    first.address.clear();
    return found({first});
  }
  if (via.host.empty() && std::all_of(hosts.begin(), hosts.end(), [](const auto& host) { return host.is_folder(); })) return found(hosts);
  hosts_ = hosts;
  if (via.host.empty() && hosts.size() > 1) return look_up();
  connect_first(std::move(first));
}

// The first address of the one name that accepts.
void PostgresRoute::connect_first(postgres::Host host) {
  TcpTarget tcp;
  tcp.via = target_.via;
  tcp.host = host.name.empty() ? host.address : host.name;
  tcp.port = *postgres::port_number(host.port);
  if (tcp.via.host.empty()) tcp.via.host = host.address;
  connector_ = std::make_unique<Connector>(loop_, resolver_, tcp, [this, tcp, host = std::move(host)](const ProbeResult& result) mutable {
    times_ = result.times;
    address_ = result.address;
    if (result.trouble != Trouble::none) return finish(result);
    ::close(connector_->take());
    host.address = to_string(connector_->peer());
    host.port = std::to_string(tcp.via.host.empty() || tcp.via.port == 0 ? tcp.port : tcp.via.port);
    timer_ = loop_.after(Milliseconds{0}, [this, host = std::move(host)] {
      timer_.reset();
      connector_.reset();
      found({host});
    });
  });
}

// Of several hosts libpq tries one after the other; their names are looked up here, all at once.
void PostgresRoute::look_up() {
  answers_.resize(hosts_.size());
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const auto& host = hosts_[i];
    if (host.is_folder() || !host.address.empty()) {
      answers_[i] = Resolver::Answer{};
    } else if (auto numeric = numeric_addresses(host.name); !numeric.empty()) {
      answers_[i] = Resolver::Answer{std::move(numeric), 0, 0};
    } else {
      tickets_.push_back(resolver_.resolve(host.name, [this, i](const Resolver::Answer& answer) {
        answers_[i] = answer;
        looked_up();
      }));
    }
  }
  timer_ = loop_.after(Milliseconds{0}, [this] {
    timer_.reset();
    looked_up();
  });
}

void PostgresRoute::looked_up() {
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  const auto waiting = std::count_if(answers_.begin(), answers_.end(), [](const auto& answer) { return !answer; });
  const auto known = std::any_of(answers_.begin(), answers_.end(), [](const auto& answer) { return answer && answer->error == 0; });
  if (waiting > 0 && !known) return;
  // A name that hangs must not keep the others waiting for long.
  constexpr Milliseconds patience{500};
  timer_ = loop_.after(waiting > 0 ? patience : Milliseconds{0}, [this] {
    timer_.reset();
    tickets_.clear();
    times_.add(Stage::dns, std::chrono::duration_cast<StageTimes::Duration>(std::chrono::steady_clock::now() - start_));
    take_known();
  });
}

void PostgresRoute::take_known() {
  std::vector<postgres::Host> known;
  std::optional<ProbeResult> trouble;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!answers_[i]) continue;
    if (answers_[i]->error != 0) {
      auto found = dns_trouble(*answers_[i], hosts_[i].name);
      if (!trouble || trouble->trouble == Trouble::failed) trouble = std::move(found);
      continue;
    }
    if (answers_[i]->addresses.empty()) known.push_back(hosts_[i]);
    for (const auto& address : answers_[i]->addresses) known.push_back({hosts_[i].name, to_string(address), hosts_[i].port});
  }
  if (!known.empty()) return found(std::move(known));
  finish(trouble.value_or(ProbeResult{}));
}

// libpq finds a Unix socket only under the name it makes of folder and port.
std::string PostgresRoute::linked(const std::string& socket, const std::string& port) {
  char folder[] = "/tmp/codops-pg-XXXXXX";
  if (::mkdtemp(folder) == nullptr) return {};
  link_ = folder;
  std::error_code ignored;
  std::filesystem::create_symlink(std::filesystem::absolute(socket), link_ / fmt::format(".s.PGSQL.{}", port), ignored);
  return link_.string();
}

void PostgresRoute::found(std::vector<postgres::Host> hosts) {
  hosts_ = std::move(hosts);
  finish({});
}

void PostgresRoute::fail(std::string message, std::string hint) {
  ProbeResult result;
  result.trouble = Trouble::unknown;
  result.message = std::move(message);
  result.hint = std::move(hint);
  finish(result);
}

void PostgresRoute::finish(const ProbeResult& result) {
  const auto done = std::exchange(done_, {});
  done(result);
}

}  // namespace codops::io

#include "lib/io/postgres_probe.hpp"

#include <libpq-fe.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "lib/io/postgres_environment.hpp"
#include "lib/io/postgres_hosts.hpp"
#include "lib/io/postgres_secrets.hpp"
#include "lib/io/postgres_session.hpp"
#include "lib/io/tcp_probe.hpp"

namespace codops::io {
namespace {

// `replay` is zero when everything received was replayed: an idle primary is no lag.
constexpr const char* statistics_query =
    "SELECT pg_is_in_recovery(),"
    " CASE WHEN pg_is_in_recovery() THEN"
    "   CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
    "        ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END"
    "  ELSE (SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication) END,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
    " current_setting('max_connections')";

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else if (c != '\t') {
      out += c;
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

class PostgresProbe final : public Probe {
 public:
  using Done = std::function<void(const PostgresResult&)>;

  PostgresProbe(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target, Done done)
      : loop_{loop}, resolver_{resolver}, target_{target}, done_{std::move(done)} {
    start_ = std::chrono::steady_clock::now();
    timer_ = loop_.after(Milliseconds{0}, [this] {
      timer_.reset();
      begin();
    });
  }

  ~PostgresProbe() override {
    if (timer_) loop_.cancel(*timer_);
    stop_host_timer();
    forget_socket();
    ::PQfinish(connection_);
    if (!link_.empty()) {
      std::error_code ignored;
      std::filesystem::remove_all(link_, ignored);
    }
  }

  PostgresProbe(const PostgresProbe&) = delete;
  PostgresProbe& operator=(const PostgresProbe&) = delete;

  Stage stage() const override { return connector_ ? connector_->stage() : stage_; }
  StageTimes times() const override { return connector_ ? connector_->times() : result_.times; }
  std::string address() const override { return connector_ ? connector_->address() : address_; }

 private:
  void begin() {
    const auto& wanted = target_.target;
    parameters_ = postgres::parameters_from_environment(wanted);
    for (const auto& [key, value] : wanted.options) parameters_[key] = value;
    if (!wanted.host.empty()) parameters_["host"] = wanted.host;
    if (!wanted.port.empty()) parameters_["port"] = wanted.port;
    if (!wanted.user.empty()) parameters_["user"] = wanted.user;
    if (!wanted.database.empty()) parameters_["dbname"] = wanted.database;
    if (!wanted.password.empty()) parameters_["password"] = wanted.password.reveal();
    // Kerberos would be tried first, and waits for its own servers.
    parameters_.try_emplace("gssencmode", "disable");
    parameters_.try_emplace("application_name", "codops-health-check");
    postgres::Effective effective;
    try {
      effective = postgres::effective(parameters_);
    } catch (const Failure& failure) {
      return fail(Trouble::unknown, failure.message(), failure.hint());
    }
    effective_ = std::move(effective.parameters);
    constexpr auto correct = "correct the URL, the PG… variables or the service; no server was asked";
    if (!effective.mistake.empty()) return fail(Trouble::unknown, one_line(effective.mistake), correct);
    const auto hosts = postgres::hosts_of(effective_);
    if (!hosts) return fail(Trouble::unknown, "the lists of hosts, addresses and ports are not of the same length", correct);
    for (const auto& host : *hosts) {
      if (!postgres::port_number(host.port)) return fail(Trouble::unknown, "\"" + host.port + "\" is no port number", correct);
    }
    go_to(*hosts);
  }

  void go_to(const std::vector<postgres::Host>& hosts) {
    const auto& via = target_.via;
    auto first = hosts.front();
    if (!via.unix_socket.empty()) {
      first.name = linked(via.unix_socket, first.port);
      first.address.clear();
      return connect_libpq({first});
    }
    if (via.host.empty() && std::all_of(hosts.begin(), hosts.end(), [](const auto& host) { return host.is_folder(); })) return connect_libpq(hosts);
    if (via.host.empty() && hosts.size() > 1) return look_up(hosts);
    connect_first(std::move(first));
  }

  // libpq is given an address that is known to accept: it would look names up while everything waits, and try the
  // addresses of a name one after the other, each for as long as the kernel likes.
  void connect_first(postgres::Host host) {
    TcpTarget tcp;
    tcp.via = target_.via;
    tcp.host = host.name.empty() ? host.address : host.name;
    tcp.port = *postgres::port_number(host.port);
    if (tcp.via.host.empty()) tcp.via.host = host.address;
    connector_ = std::make_unique<Connector>(loop_, resolver_, tcp, [this, tcp, host = std::move(host)](const ProbeResult& result) mutable {
      result_.times = result.times;
      address_ = result.address;
      if (result.trouble != Trouble::none) {
        static_cast<ProbeResult&>(result_) = result;
        return finish();
      }
      const int fd = connector_->take();
      host.address = to_string(connector_->peer());
      ::close(fd);
      host.port = std::to_string(tcp.via.host.empty() || tcp.via.port == 0 ? tcp.port : tcp.via.port);
      timer_ = loop_.after(Milliseconds{0}, [this, host = std::move(host)] {
        timer_.reset();
        connector_.reset();
        connect_libpq({host});
      });
    });
  }

  // Of several hosts libpq tries one after the other; their names are looked up here, all at once.
  void look_up(const std::vector<postgres::Host>& hosts) {
    hosts_ = hosts;
    answers_.resize(hosts.size());
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (hosts[i].is_folder() || !hosts[i].address.empty()) {
        answers_[i] = Resolver::Answer{};
      } else if (auto numeric = numeric_addresses(hosts[i].name); !numeric.empty()) {
        answers_[i] = Resolver::Answer{std::move(numeric), 0, 0};
      } else {
        tickets_.push_back(resolver_.resolve(hosts[i].name, [this, i](const Resolver::Answer& answer) {
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

  void looked_up() {
    if (timer_) loop_.cancel(*timer_);
    timer_.reset();
    const auto waiting = std::count_if(answers_.begin(), answers_.end(), [](const auto& answer) { return !answer; });
    const auto known = std::any_of(answers_.begin(), answers_.end(), [](const auto& answer) { return answer && answer->error == 0; });
    if (waiting > 0 && !known) return;
    // A name that hangs must not keep the others waiting for long.
    constexpr Milliseconds patience{500};
    const auto go = [this] {
      timer_.reset();
      tickets_.clear();
      enter(Stage::connect);
      connect_known();
    };
    timer_ = loop_.after(waiting > 0 ? patience : Milliseconds{0}, go);
  }

  void connect_known() {
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
    if (!known.empty()) return connect_libpq(std::move(known));
    if (trouble) {
      trouble->times = result_.times;
      static_cast<ProbeResult&>(result_) = *std::move(trouble);
    }
    finish();
  }

  void connect_libpq(std::vector<postgres::Host> hosts) {
    start_ = std::chrono::steady_clock::now();
    forget_socket();
    hosts_ = std::move(hosts);
    trying_.clear();
    postgres::put_hosts(hosts_, parameters_);
    stage_ = Stage::connect;
    ::PQfinish(connection_);
    connection_ = postgres::begin_connecting(parameters_);
    if (connection_ == nullptr) return fail(Trouble::busy, "no memory for a connection", "--parallel 16");
    if (::PQstatus(connection_) == CONNECTION_BAD) return refused();
    ::PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
    wait_for(PGRES_POLLING_WRITING);
  }

  // libpq leaves connect_timeout to its caller, but has no way to be told to go on to the next host: it begins anew without those before.
  void watch_host() {
    if (hosts_.size() < 2) return;
    const auto same = [&](const postgres::Host& host) { return host.name == ::PQhost(connection_) && host.address == ::PQhostaddr(connection_) && host.port == ::PQport(connection_); };
    const auto current = std::find_if(hosts_.begin(), hosts_.end(), same);
    if (current == hosts_.end() || current + 1 == hosts_.end()) return stop_host_timer();
    const auto trying = current->name + ' ' + current->address + ' ' + current->port;
    if (trying == trying_) return;
    trying_ = trying;
    stop_host_timer();
    int seconds = 0;
    if (const auto given = effective_.find("connect_timeout"); given != effective_.end()) std::from_chars(given->second.data(), given->second.data() + given->second.size(), seconds);
    host_timer_ = loop_.after(std::chrono::seconds{seconds > 0 ? seconds : 2}, [this, rest = std::vector(current + 1, hosts_.end())] {
      host_timer_.reset();
      connect_libpq(rest);
    });
  }

  void stop_host_timer() noexcept {
    if (host_timer_) loop_.cancel(*host_timer_);
    host_timer_.reset();
  }

  // libpq finds a Unix socket only under the name it makes of folder and port.
  std::string linked(const std::string& socket, const std::string& port) {
    char folder[] = "/tmp/codops-pg-XXXXXX";
    if (::mkdtemp(folder) == nullptr) return {};
    link_ = folder;
    std::error_code ignored;
    std::filesystem::create_symlink(std::filesystem::absolute(socket), link_ / fmt::format(".s.PGSQL.{}", port), ignored);
    return link_.string();
  }

  void wait_for(PostgresPollingStatusType wanted) {
    // libpq may have closed one socket and opened the next, under the same number even.
    forget_socket();
    socket_ = ::PQsocket(connection_);
    if (socket_ < 0) return refused();
    watch_host();
    loop_.watch(socket_, wanted == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT, [this](std::uint32_t) { poll(); });
  }

  void poll() {
    const auto next = ::PQconnectPoll(connection_);
    note_stage();
    switch (next) {
      case PGRES_POLLING_OK:
        stop_host_timer();
        enter(Stage::request);
        return ask("SELECT 1");
      case PGRES_POLLING_READING:
      case PGRES_POLLING_WRITING: return wait_for(next);
      default: return refused();
    }
  }

  void note_stage() {
    const auto status = ::PQstatus(connection_);
    if (status == CONNECTION_SSL_STARTUP) enter(Stage::tls);
    if (status == CONNECTION_MADE || status == CONNECTION_AWAITING_RESPONSE || status == CONNECTION_AUTH_OK) enter(Stage::request);
  }

  void enter(Stage stage) {
    if (stage_ == stage) return;
    const auto now = std::chrono::steady_clock::now();
    result_.times.add(stage_, std::chrono::duration_cast<StageTimes::Duration>(now - start_));
    start_ = now;
    stage_ = stage;
  }

  void ask(const char* sql) {
    forget_socket();
    if (::PQsendQuery(connection_, sql) == 0) return refused();
    // Row by row: whatever answers there may have rows without end.
    ::PQsetSingleRowMode(connection_);
    rows_ = 0;
    ::PQflush(connection_);
    socket_ = ::PQsocket(connection_);
    loop_.watch(socket_, EPOLLIN, [this](std::uint32_t) { answer(); });
  }

  void answer() {
    if (::PQconsumeInput(connection_) == 0) return refused();
    while (::PQisBusy(connection_) == 0) {
      const std::unique_ptr<PGresult, decltype(&::PQclear)> rows{::PQgetResult(connection_), &::PQclear};
      if (!rows) return answered();
      const auto status = ::PQresultStatus(rows.get());
      if (status == PGRES_SINGLE_TUPLE && ++rows_ > 1) return fail(Trouble::failed, "one row was asked for, and more came", "check what answers there: it behaves like no PostgreSQL");
      if (status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE) {
        if (asked_statistics_) take_statistics(rows.get());
      } else {
        const char* state = ::PQresultErrorField(rows.get(), PG_DIAG_SQLSTATE);
        const char* text = ::PQresultErrorField(rows.get(), PG_DIAG_MESSAGE_PRIMARY);
        const std::string message = text == nullptr ? one_line(::PQresultErrorMessage(rows.get())) : text;
        if (asked_statistics_) {
          result_.facts.statistics_error = hidden(message);
        } else {
          result_.sqlstate = state == nullptr ? "" : state;
          return fail(Trouble::failed, "SELECT 1 fails: " + message, "check the server's log");
        }
      }
    }
  }

  void answered() {
    if (!asked_statistics_) {
      const int version = ::PQserverVersion(connection_);
      result_.facts.version = fmt::format("{}.{}", version / 10000, version % 100);
      if (target_.statistics) {
        asked_statistics_ = true;
        return ask(statistics_query);
      }
    }
    enter(Stage::none);
    finish();
  }

  void take_statistics(const PGresult* rows) {
    if (::PQntuples(rows) != 1) return;
    const auto number = [&](int column) -> std::optional<double> {
      if (::PQgetisnull(rows, 0, column) != 0) return std::nullopt;
      double value = 0;
      const std::string_view text{::PQgetvalue(rows, 0, column)};
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      return error == std::errc{} ? std::optional{value} : std::nullopt;
    };
    result_.facts.replica = std::string_view{::PQgetvalue(rows, 0, 0)} == "t";
    if (const auto lag = number(1)) result_.facts.lag = Milliseconds{std::llround(std::max(0.0, *lag) * 1000)};
    if (const auto count = number(2)) result_.facts.connections = static_cast<int>(*count);
    if (const auto most = number(3)) result_.facts.max_connections = static_cast<int>(*most);
  }

  // libpq gives no code for a login that was refused; the server's own words are what there is.
  void refused() {
    if (const auto trouble = postgres::key_trouble(target_.target)) return fail(Trouble::unknown, trouble->message(), trouble->hint());
    const auto said = connection_ == nullptr ? std::string{} : hidden(one_line(::PQerrorMessage(connection_)));
    if (asked_statistics_) {
      result_.facts.statistics_error = said;
      return finish();
    }
    if (const auto hint = mistake_here(said)) return fail(Trouble::unknown, said, *hint);
    std::string hint = "check the server's log, and pg_hba.conf for this client";
    // One that is missing counts as used.
    if (connection_ != nullptr && ::PQconnectionNeedsPassword(connection_) != 0) hint = "put a password into the URL, or PGPASSWORD";
    else if (connection_ != nullptr && ::PQconnectionUsedPassword(connection_) != 0) hint = "check user, password and database of the URL";
    fail(Trouble::failed, said.empty() ? "the connection failed" : said, hint);
  }

  // What this machine lacks, so that the server was not really asked: the hint.
  std::optional<std::string> mistake_here(std::string_view said) const {
    if (stage_ != Stage::connect && stage_ != Stage::tls) return std::nullopt;
    const auto value = [&](const char* key) {
      const auto found = effective_.find(key);
      return found == effective_.end() ? std::string{} : found->second;
    };
    if (value("sslmode").starts_with("verify-")) {
      auto file = value("sslrootcert");
      const char* home = std::getenv("HOME");
      if (file.empty()) file = std::string{home == nullptr ? "" : home} + "/.postgresql/root.crt";
      if (file != "system" && ::access(file.c_str(), R_OK) != 0) return "name the CA's certificate: --ca FILE, or sslrootcert=FILE in the URL";
    }
    if (value("gssencmode") == "require" && said.find("GSSAPI encryption required but") != said.npos) return "get a Kerberos ticket (kinit), or take gssencmode out of the URL";
    return std::nullopt;
  }

  void fail(Trouble trouble, std::string message, std::string hint) {
    result_.trouble = trouble;
    result_.stage = stage_;
    result_.message = hidden(message);
    result_.hint = std::move(hint);
    finish();
  }

  // A server may quote what it was sent.
  std::string hidden(std::string_view text) const {
    return postgres::without_password(target_.target, text, connection_ == nullptr ? "" : ::PQpass(connection_));
  }

  void forget_socket() noexcept {
    if (socket_ >= 0) loop_.unwatch(socket_);
    socket_ = -1;
  }

  void finish() {
    forget_socket();
    stop_host_timer();
    if (!done_) return;
    if (result_.address.empty()) result_.address = address_;
    const auto done = std::exchange(done_, {});
    done(result_);
  }

  EventLoop& loop_;
  Resolver& resolver_;
  PostgresProbeTarget target_;
  Done done_;
  std::unique_ptr<Connector> connector_;
  std::optional<EventLoop::Timer> timer_;
  PGconn* connection_{};
  int socket_{-1};
  std::filesystem::path link_;
  postgres::Parameters parameters_, effective_;  // as given; with what libpq adds
  std::vector<postgres::Host> hosts_;
  std::string trying_;  // which of them
  std::optional<EventLoop::Timer> host_timer_;
  std::vector<std::optional<Resolver::Answer>> answers_;  // of hosts_, while names are looked up
  std::vector<Resolver::Ticket> tickets_;
  bool asked_statistics_{false};
  int rows_{0};  // of the answer so far
  Stage stage_{Stage::dns};
  EventLoop::TimePoint start_;
  std::string address_;
  PostgresResult result_;
};

}  // namespace

std::unique_ptr<Probe> start_postgres_probe(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target,
                                            std::function<void(const PostgresResult&)> done) {
  return std::make_unique<PostgresProbe>(loop, resolver, target, std::move(done));
}

}  // namespace codops::io

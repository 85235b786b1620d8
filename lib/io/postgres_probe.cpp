#include "lib/io/postgres_probe.hpp"

#include <libpq-fe.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <filesystem>

#include "lib/io/postgres_environment.hpp"
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
  // libpq is given an address that is known to accept: it would look names up while everything waits, and try the
  // addresses of a name one after the other, each for as long as the kernel likes.
  void begin() {
    const auto& via = target_.via;
    const auto& wanted = target_.target;
    TcpTarget tcp;
    tcp.via = via;
    tcp.host = wanted.host;
    const auto hostaddr = wanted.options.find("hostaddr");
    if (hostaddr != wanted.options.end()) tcp.via.host = hostaddr->second;
    tcp.port = 5432;
    if (!wanted.port.empty()) std::from_chars(wanted.port.data(), wanted.port.data() + wanted.port.size(), tcp.port);
    const bool folder = (wanted.host.empty() && hostaddr == wanted.options.end()) || wanted.host.starts_with('/');
    const bool several = wanted.host.find(',') != std::string::npos;
    if (!via.unix_socket.empty()) return connect_libpq({}, via.unix_socket, tcp.port);
    if (via.host.empty() && (folder || several)) return connect_libpq({}, {}, tcp.port);
    connector_ = std::make_unique<Connector>(loop_, resolver_, tcp, [this, tcp](const ProbeResult& result) {
      result_.times = result.times;
      address_ = result.address;
      if (result.trouble != Trouble::none) {
        static_cast<ProbeResult&>(result_) = result;
        return finish();
      }
      const int fd = connector_->take();
      const auto peer = to_string(connector_->peer());
      ::close(fd);
      const auto port = tcp.via.host.empty() || tcp.via.port == 0 ? tcp.port : tcp.via.port;
      timer_ = loop_.after(Milliseconds{0}, [this, peer, port] {
        timer_.reset();
        connector_.reset();
        connect_libpq(peer, {}, port);
      });
    });
  }

  void connect_libpq(const std::string& address, const std::string& socket, std::uint16_t port) {
    start_ = std::chrono::steady_clock::now();
    const auto& wanted = target_.target;
    auto parameters = postgres::parameters_from_environment(wanted);
    for (const auto& [key, value] : wanted.options) parameters[key] = value;
    if (!wanted.host.empty()) parameters["host"] = wanted.host;
    if (!wanted.port.empty()) parameters["port"] = wanted.port;
    if (!wanted.user.empty()) parameters["user"] = wanted.user;
    if (!wanted.database.empty()) parameters["dbname"] = wanted.database;
    if (!wanted.password.empty()) parameters["password"] = wanted.password.reveal();
    if (!address.empty()) {
      parameters["hostaddr"] = address;
      parameters["port"] = std::to_string(port);
    }
    if (!socket.empty()) {
      parameters["host"] = linked(socket, port);
      parameters["port"] = std::to_string(port);
      parameters.erase("hostaddr");
    }
    // Kerberos would be tried first, and waits for its own servers.
    parameters.try_emplace("gssencmode", "disable");
    parameters.try_emplace("application_name", "codops-health-check");
    stage_ = Stage::connect;
    connection_ = postgres::begin_connecting(parameters);
    if (connection_ == nullptr) return fail(Trouble::busy, "no memory for a connection", "--parallel 16");
    if (::PQstatus(connection_) == CONNECTION_BAD) return refused();
    ::PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
    wait_for(PGRES_POLLING_WRITING);
  }

  // libpq finds a Unix socket only under the name it makes of folder and port.
  std::string linked(const std::string& socket, std::uint16_t port) {
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
    loop_.watch(socket_, wanted == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT, [this](std::uint32_t) { poll(); });
  }

  void poll() {
    const auto next = ::PQconnectPoll(connection_);
    note_stage();
    switch (next) {
      case PGRES_POLLING_OK:
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
    ::PQflush(connection_);
    socket_ = ::PQsocket(connection_);
    loop_.watch(socket_, EPOLLIN, [this](std::uint32_t) { answer(); });
  }

  void answer() {
    if (::PQconsumeInput(connection_) == 0) return refused();
    while (::PQisBusy(connection_) == 0) {
      const std::unique_ptr<PGresult, decltype(&::PQclear)> rows{::PQgetResult(connection_), &::PQclear};
      if (!rows) return answered();
      if (::PQresultStatus(rows.get()) == PGRES_TUPLES_OK) {
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
    std::string hint = "check the server's log, and pg_hba.conf for this client";
    if (connection_ != nullptr && ::PQconnectionNeedsPassword(connection_) != 0) hint = "put a password into the URL, or PGPASSWORD";
    if (connection_ != nullptr && ::PQconnectionUsedPassword(connection_) != 0) hint = "check user, password and database of the URL";
    fail(Trouble::failed, said.empty() ? "the connection failed" : said, hint);
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
  bool asked_statistics_{false};
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

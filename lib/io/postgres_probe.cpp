#include "lib/io/postgres_probe.hpp"

#include <libpq-fe.h>
#include <sys/epoll.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lib/io/postgres_refusal.hpp"
#include "lib/io/postgres_route.hpp"
#include "lib/io/postgres_secrets.hpp"
#include "lib/io/postgres_session.hpp"

namespace codops::io {
namespace {

// In columns that every role sees. Of others' sessions an ordinary one is shown neither backend_type nor state, of replicas only that they
// are there; autovacuum has no user. A replica that has replayed all it received has no lag, while it still receives: an idle primary.
// pg_receivewal and its like replay nothing and are none.
constexpr const char* statistics_query =
    "WITH here AS (SELECT pg_is_in_recovery() AS standby,"
    "   EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status IS NULL OR status = 'streaming') AS receives) "
    "SELECT standby,"
    " CASE WHEN NOT standby THEN (SELECT extract(epoch FROM max(coalesce(replay_lag, interval '0'))) FROM pg_stat_replication WHERE replay_lsn IS NOT NULL)"
    "   WHEN receives AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
    "   ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,"
    " (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'),"
    " current_setting('max_connections'),"
    " standby AND NOT receives AND pg_last_wal_receive_lsn() IS NOT NULL,"
    " (SELECT count(*) FROM pg_stat_replication WHERE state IS NULL)"
    " FROM here";

class PostgresProbe final : public Probe {
 public:
  using Done = std::function<void(const PostgresResult&)>;

  PostgresProbe(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target, Done done)
      : loop_{loop}, target_{target}, done_{std::move(done)}, route_{loop, resolver, target, [this](const ProbeResult& result) { routed(result); }} {}

  ~PostgresProbe() override {
    stop_host_timer();
    forget_socket();
  }

  PostgresProbe(const PostgresProbe&) = delete;
  PostgresProbe& operator=(const PostgresProbe&) = delete;

  Stage stage() const override { return connection_ ? stage_ : route_.stage(); }
  StageTimes times() const override { return connection_ ? result_.times : route_.times(); }
  std::string address() const override { return route_.address(); }
  std::string waits_for() const override { return route_.waits_for(); }

 private:
  void routed(const ProbeResult& result) {
    result_.times = route_.times();
    if (result.trouble == Trouble::none) return connect(route_.hosts());
    const auto times = result_.times;
    static_cast<ProbeResult&>(result_) = result;
    result_.times = times;
    result_.message = hidden(result.message);
    finish();
  }

  void connect(std::vector<postgres::Host> hosts) {
    start_ = std::chrono::steady_clock::now();
    forget_socket();
    errand_.reset();
    hosts_ = std::move(hosts);
    trying_.clear();
    auto parameters = route_.parameters();
    postgres::put_hosts(hosts_, parameters);
    stage_ = Stage::connect;
    connection_.reset(postgres::begin_connecting(parameters), &::PQfinish);
    if (!connection_) return fail(Trouble::busy, "no memory for a connection", "--parallel 16");
    if (::PQstatus(connection_.get()) == CONNECTION_BAD) return refused();
    ::PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
    wait_for(PGRES_POLLING_WRITING);
  }

  // libpq leaves connect_timeout to its caller, but has no way to be told to go on to the next host: it begins anew without those before.
  void watch_host() {
    if (hosts_.size() < 2) return;
    const auto same = [&](const postgres::Host& host) { return host.name == ::PQhost(connection_.get()) && host.address == ::PQhostaddr(connection_.get()) && host.port == ::PQport(connection_.get()); };
    const auto current = std::find_if(hosts_.begin(), hosts_.end(), same);
    if (current == hosts_.end() || current + 1 == hosts_.end()) return stop_host_timer();
    const auto trying = current->name + ' ' + current->address + ' ' + current->port;
    if (trying == trying_) return;
    trying_ = trying;
    stop_host_timer();
    int seconds = 0;
    if (const auto given = route_.effective().find("connect_timeout"); given != route_.effective().end()) std::from_chars(given->second.data(), given->second.data() + given->second.size(), seconds);
    host_timer_ = loop_.after(std::chrono::seconds{seconds > 0 ? seconds : 2}, [this, rest = std::vector(current + 1, hosts_.end())] {
      host_timer_.reset();
      connect(rest);
    });
  }

  void stop_host_timer() noexcept {
    if (host_timer_) loop_.cancel(*host_timer_);
    host_timer_.reset();
  }

  void wait_for(PostgresPollingStatusType wanted) {
    // libpq may have closed one socket and opened the next, under the same number even.
    forget_socket();
    socket_ = ::PQsocket(connection_.get());
    if (socket_ < 0) return refused();
    watch_host();
    loop_.watch(socket_, wanted == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT, [this](std::uint32_t) { poll(); });
  }

  void poll() {
    forget_socket();
    // A login takes as much arithmetic as the server demands (SCRAM's iterations).
    if (::PQstatus(connection_.get()) == CONNECTION_AWAITING_RESPONSE) {
      errand_ = start_errand(loop_, [this, connection = connection_] {
        return [this, next = ::PQconnectPoll(connection.get())] {
          errand_.reset();
          polled(next);
        };
      });
      if (errand_) return;
    }
    polled(::PQconnectPoll(connection_.get()));
  }

  void polled(PostgresPollingStatusType next) {
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
    const auto status = ::PQstatus(connection_.get());
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
    if (::PQsendQuery(connection_.get(), sql) == 0) return refused();
    // Row by row: whatever answers there may have rows without end.
    ::PQsetSingleRowMode(connection_.get());
    rows_ = 0;
    ::PQflush(connection_.get());
    socket_ = ::PQsocket(connection_.get());
    loop_.watch(socket_, EPOLLIN, [this](std::uint32_t) { answer(); });
  }

  void answer() {
    if (::PQconsumeInput(connection_.get()) == 0) return refused();
    while (::PQisBusy(connection_.get()) == 0) {
      const std::unique_ptr<PGresult, decltype(&::PQclear)> rows{::PQgetResult(connection_.get()), &::PQclear};
      if (!rows) return answered();
      const auto status = ::PQresultStatus(rows.get());
      if (status == PGRES_SINGLE_TUPLE && ++rows_ > 1) return fail(Trouble::failed, "one row was asked for, and more came", "check what answers there: it behaves like no PostgreSQL");
      if (status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE) {
        if (asked_statistics_) take_statistics(rows.get());
      } else {
        const char* state = ::PQresultErrorField(rows.get(), PG_DIAG_SQLSTATE);
        const char* text = ::PQresultErrorField(rows.get(), PG_DIAG_MESSAGE_PRIMARY);
        const std::string message = text == nullptr ? postgres::one_line(::PQresultErrorMessage(rows.get())) : text;
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
      const int version = ::PQserverVersion(connection_.get());
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
    result_.facts.lost_primary = std::string_view{::PQgetvalue(rows, 0, 4)} == "t";
    if (const auto hidden = number(5)) result_.facts.hidden_replicas = static_cast<int>(*hidden);
  }

  void refused() {
    if (const auto trouble = postgres::key_trouble(target_.target)) return fail(Trouble::unknown, trouble->message(), trouble->hint());
    const auto said = hidden(postgres::one_line(::PQerrorMessage(connection_.get())));
    if (asked_statistics_) {
      result_.facts.statistics_error = said;
      return finish();
    }
    const auto refusal = postgres::refusal_of(connection_.get(), said, route_.effective(), stage_);
    fail(refusal.trouble, refusal.message, refusal.hint);
  }

  void fail(Trouble trouble, const std::string& message, std::string hint) {
    result_.trouble = trouble;
    result_.stage = stage_;
    result_.message = hidden(message);
    result_.hint = std::move(hint);
    finish();
  }

  // A server may quote what it was sent.
  std::string hidden(std::string_view text) const {
    return postgres::without_password(target_.target, text, connection_ ? ::PQpass(connection_.get()) : "");
  }

  void forget_socket() noexcept {
    if (socket_ >= 0) loop_.unwatch(socket_);
    socket_ = -1;
  }

  void finish() {
    forget_socket();
    stop_host_timer();
    if (!done_) return;
    if (result_.address.empty()) result_.address = route_.address();
    const auto done = std::exchange(done_, {});
    done(result_);
  }

  EventLoop& loop_;
  PostgresProbeTarget target_;
  Done done_;
  PostgresRoute route_;
  std::shared_ptr<PGconn> connection_;  // an errand's too, which may outlive the probe
  Errand errand_;
  int socket_{-1};
  std::vector<postgres::Host> hosts_;
  std::string trying_;  // which of them
  std::optional<EventLoop::Timer> host_timer_;
  bool asked_statistics_{false};
  int rows_{0};  // of the answer so far
  Stage stage_{Stage::dns};
  EventLoop::TimePoint start_;
  PostgresResult result_;
};

}  // namespace

std::unique_ptr<Probe> start_postgres_probe(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target,
                                            std::function<void(const PostgresResult&)> done) {
  return std::make_unique<PostgresProbe>(loop, resolver, target, std::move(done));
}

}  // namespace codops::io

#pragma once
// The way to PostgreSQL before libpq begins: its parameters made whole, names looked up, an address chosen that accepts. libpq would do
// all that itself while everything else on the loop waits, and try the addresses of a name one after the other, each for as long as the
// kernel likes.
#include <filesystem>

#include "lib/io/errand.hpp"
#include "lib/io/postgres_hosts.hpp"
#include "lib/io/postgres_probe.hpp"
#include "lib/io/tcp_probe.hpp"

namespace codops::io {

class PostgresRoute {
 public:
  // Comes once, on the loop, never before the constructor returns. Trouble none: hosts() can be connected to, and need no lookup.
  using Done = std::function<void(const ProbeResult&)>;
  PostgresRoute(EventLoop& loop, Resolver& resolver, const PostgresProbeTarget& target, Done done);
  ~PostgresRoute();
  PostgresRoute(const PostgresRoute&) = delete;
  PostgresRoute& operator=(const PostgresRoute&) = delete;

  const std::vector<postgres::Host>& hosts() const { return hosts_; }
  const postgres::Parameters& parameters() const { return parameters_; }  // to give to libpq
  const postgres::Parameters& effective() const { return effective_; }    // with what it adds

  Stage stage() const { return connector_ ? connector_->stage() : Stage::dns; }
  StageTimes times() const { return connector_ ? connector_->times() : times_; }
  std::string address() const { return connector_ ? connector_->address() : address_; }
  std::string waits_for() const { return errand_ ? file_ : std::string{}; }

 private:
  struct Whole;
  void begin();
  void made_whole(const Whole& whole);
  void go_to(const std::vector<postgres::Host>& hosts);
  void connect_first(postgres::Host host);
  void look_up();
  void looked_up();
  void take_known();
  std::string linked(const std::string& socket, const std::string& port);
  void found(std::vector<postgres::Host> hosts);
  void fail(std::string message, std::string hint);
  void finish(const ProbeResult& result);

  EventLoop& loop_;
  Resolver& resolver_;
  PostgresProbeTarget target_;
  Done done_;
  EventLoop::TimePoint start_;
  std::optional<EventLoop::Timer> timer_;
  Errand errand_;
  std::string file_;  // that the errand looks at
  std::unique_ptr<Connector> connector_;
  std::filesystem::path link_;
  postgres::Parameters parameters_, effective_;
  std::vector<postgres::Host> hosts_;
  std::vector<std::optional<Resolver::Answer>> answers_;  // of hosts_, while names are looked up
  std::vector<Resolver::Ticket> tickets_;
  StageTimes times_;
  std::string address_;
};

}  // namespace codops::io

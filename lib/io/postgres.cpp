#include "lib/io/postgres.hpp"

#include <libpq-fe.h>

#include "lib/io/postgres_session.hpp"

namespace codops::io::postgres {

DatabaseError::DatabaseError(Exit code, Diagnostic diagnostic, bool lost, std::string hint)
    : Failure{code, diagnostic.message, std::move(hint)}, diagnostic_{std::move(diagnostic)}, lost_{lost} {}

Connection::Connection(std::unique_ptr<State> state) : state_{std::move(state)} {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Rows Connection::query(std::string_view sql, const std::vector<Value>& values, const Limits& limits) {
  state_->send(sql, values, true, limits);
  return state_->results({}, {}, limits).last;
}

void Connection::each(std::string_view sql, const std::vector<Value>& values,
                      const std::function<void(const Rows&)>& row, const Limits& limits) {
  state_->send(sql, values, true, limits);
  PQsetSingleRowMode(state_->connection);
  state_->results({}, {}, limits, row);
}

Connection::Script Connection::run(std::string_view sql, const Limits& limits, const Source& copy) {
  state_->send(sql, {}, false, limits);
  return state_->results(copy, {}, limits);
}

std::uint64_t Connection::copy_out(std::string_view sql, const Sink& sink, const Limits& limits) {
  state_->send(sql, {}, false, limits);
  return state_->results({}, sink, limits).last.affected();
}

std::uint64_t Connection::copy_in(std::string_view sql, const Source& source, const Limits& limits) {
  state_->send(sql, {}, false, limits);
  return state_->results(source, {}, limits).last.affected();
}

void Connection::on_notice(NoticeSink sink) { state_->notices = std::move(sink); }

Transaction Connection::transaction() const {
  switch (PQtransactionStatus(state_->connection)) {
    case PQTRANS_IDLE:
      return Transaction::idle;
    case PQTRANS_ACTIVE:
      return Transaction::active;
    case PQTRANS_INTRANS:
      return Transaction::in_transaction;
    case PQTRANS_INERROR:
      return Transaction::failed;
    default:
      return Transaction::unknown;
  }
}

bool Connection::usable() const {
  return state_->connection != nullptr && PQstatus(state_->connection) == CONNECTION_OK;
}
int Connection::backend_pid() const { return PQbackendPID(state_->connection); }
int Connection::server_version() const { return PQserverVersion(state_->connection); }

std::string Connection::parameter(std::string_view name) const {
  const char* value = PQparameterStatus(state_->connection, std::string{name}.c_str());
  return value == nullptr ? "" : value;
}

const Target& Connection::target() const { return state_->target; }

std::string Connection::password_verifier(const std::string& role, const Secret& password) {
  state_->require();
  const std::unique_ptr<char, void (*)(void*)> verifier{
      PQencryptPasswordConn(state_->connection, password.reveal().c_str(), role.c_str(), "scram-sha-256"), PQfreemem};
  if (!verifier) throw Failure{Exit::failed, "a password can't be prepared: " + without_newline(PQerrorMessage(state_->connection))};
  return verifier.get();
}

}  // namespace codops::io::postgres

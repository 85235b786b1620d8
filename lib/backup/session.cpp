#include "lib/backup/session.hpp"

namespace codops::backup {

io::postgres::Connection open_session(const io::postgres::Target& target, const Limits& limits) {
  auto connection = io::postgres::Connection::open(target, limits);
  // Not every server knows all of them.
  connection.query("SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE setting <> '0' AND name IN"
                   " ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout', 'lock_timeout', 'transaction_timeout')",
                   limits);
  return connection;
}

std::string lasting_options(io::postgres::Connection& connection, const Limits& limits) {
  const auto others = connection.query("SELECT name FROM pg_catalog.pg_settings WHERE (name = 'idle_session_timeout' AND reset_val <> '0') OR (name = 'array_nulls' AND reset_val <> 'on') ORDER BY 1", limits);
  std::string options;
  for (std::size_t i = 0; i < others.size(); ++i) options += others.text(i, 0) == "array_nulls" ? " -c array_nulls=on" : " -c idle_session_timeout=0";
  return options;
}

}  // namespace codops::backup

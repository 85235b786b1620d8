#pragma once
// Why there is no connection, or no longer one. libpq has no code for a login that was refused: the server's own words are what there is.
#include "lib/io/postgres_hosts.hpp"
#include "lib/io/probe.hpp"

struct pg_conn;

namespace codops::io::postgres {

// libpq's messages have several lines, indented.
std::string one_line(std::string_view text);
// Trouble, message and hint of a connection that failed at `stage`. `said`: its message, on one line and with nothing to hide.
// `effective`: its parameters.
ProbeResult refusal_of(const pg_conn* connection, const std::string& said, const Parameters& effective, Stage stage);

}  // namespace codops::io::postgres

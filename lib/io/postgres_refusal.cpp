#include "lib/io/postgres_refusal.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <cstdlib>

namespace codops::io::postgres {
namespace {

// What this machine lacks, so that the server was not really asked: the hint.
std::optional<std::string> lacking_here(std::string_view said, const Parameters& effective) {
  const auto value = [&](const char* key) {
    const auto found = effective.find(key);
    return found == effective.end() ? std::string{} : found->second;
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

}  // namespace

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

ProbeResult refusal_of(const pg_conn* connection, const std::string& said, const Parameters& effective, Stage stage) {
  ProbeResult result;
  result.trouble = Trouble::failed;
  result.stage = stage;
  result.message = said.empty() ? "the connection failed" : said;
  result.hint = "check the server's log, and pg_hba.conf for this client";
  const auto lacking = stage == Stage::connect || stage == Stage::tls ? lacking_here(said, effective) : std::nullopt;
  if (lacking) {
    result.trouble = Trouble::unknown;
    result.hint = *lacking;
  } else if (said.find("connection slots are reserved") != std::string::npos || said.find("too many clients already") != std::string::npos) {
    result.hint = "look for idle ones in pg_stat_activity, or raise max_connections";
  } else if (::PQconnectionNeedsPassword(connection) != 0) {  // first, for one that is missing counts as used
    result.hint = "put a password into the URL, or PGPASSWORD";
  } else if (::PQconnectionUsedPassword(connection) != 0) {
    result.hint = "check user, password and database of the URL";
  }
  return result;
}

}  // namespace codops::io::postgres

#include <array>

#include "lib/migrate/statement.hpp"
#include "lib/migrate/words.hpp"

namespace codops::migrate {

namespace {

// What all databases of a server have in common, in the words of CREATE, ALTER, DROP, COMMENT ON and GRANT … ON.
std::string shared_kind(const Words& words) {
  if (words.is("role") || words.is("group")) return "ROLE";
  if (words.is("user") && !words.is("mapping", 1)) return "ROLE";
  if (words.is("database")) return "DATABASE";
  if (words.is("tablespace")) return "TABLESPACE";
  if (words.is("subscription")) return "SUBSCRIPTION";
  if (words.is("system")) return "SYSTEM";
  if (words.is("parameter")) return "PARAMETER";
  return {};
}

std::string verb_and_kind(const char* verb, const Words& words) {
  const auto kind = shared_kind(words);
  return kind.empty() ? kind : std::string{verb} + " " + kind;
}

// Functions whose effect no rollback takes back, or that reach another process or server.
constexpr std::array reaching{"pg_create_physical_replication_slot", "pg_create_logical_replication_slot", "pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot",
                              "pg_drop_replication_slot", "pg_replication_slot_advance", "pg_replication_origin_", "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf",
                              "pg_rotate_logfile", "pg_promote", "pg_switch_wal", "pg_create_restore_point", "pg_wal_replay_", "pg_file_", "lo_export", "dblink"};

// Named anywhere in a statement that runs now, a DO block's body too.
std::string function_called(std::string_view sql) {
  const auto text = lower_case(sql);
  for (const std::string name : reaching) {
    if (const auto at = text.find(name); at != std::string::npos) {
      const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at);
      return text.substr(at, end == std::string::npos ? end : end - at) + "()";
    }
  }
  if (text.find("to program") != std::string::npos || text.find("from program") != std::string::npos) return "COPY with a program of the server";
  return {};
}

}  // namespace

std::string beyond_database(std::string_view sql) {
  Words words{sql};
  if (words.accept("create")) return verb_and_kind("CREATE", words);
  if (words.accept("alter")) return verb_and_kind("ALTER", words);
  if (words.accept({"drop", "owned"})) return "DROP OWNED";
  if (words.accept("drop")) return verb_and_kind("DROP", words);
  if (words.accept({"reassign", "owned"})) return "REASSIGN OWNED";
  if (words.accept({"comment", "on"})) return verb_and_kind("COMMENT ON", words);
  if (words.accept({"security", "label"})) return words.skip_to("on") ? verb_and_kind("SECURITY LABEL ON", words) : "";
  if (words.is("grant") || words.is("revoke")) {
    const std::string verb = words.is("grant") ? "GRANT" : "REVOKE";
    // Without ON it is one role's membership in another.
    if (!words.skip_to("on")) return verb + " of a role";
    return verb_and_kind((verb + " ON").c_str(), words);
  }
  if (words.accept("copy")) {
    const auto begin = words.at();
    if (words.skip_to("to") && words.is_kind(Token::Kind::string)) return "COPY to a file of the server";
    words.move_to(begin);
    if (words.contains("program", begin)) return "COPY with a program of the server";
  }
  for (const auto* runs : {"select", "do", "with", "values", "call", "insert", "update"}) {
    if (words.is(runs)) return function_called(sql);
  }
  return {};
}

}  // namespace codops::migrate

#pragma once
// Restores of a Shop, and what there is to compare with.
#include <filesystem>
#include <fstream>

#include "lib/backup/restore.hpp"
#include "lib/backup/swap.hpp"
#include "lib/io/process.hpp"
#include "lib/io/row_digest.hpp"
#include "tests/support/backup_fixture.hpp"

namespace codops::tests {

// Everything that a dump says about a database, definitions and rows, without names of databases and dates.
inline std::string fingerprint(const io::postgres::Target& target) {
  auto connection = backup::open_for_copy(target, a_minute());
  std::string text;
  const auto tables = connection.query(
      "SELECT quote_ident(n.nspname) || '.' || quote_ident(relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
      " WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_|information_schema' ORDER BY 1", a_minute());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    io::RowDigest digest;
    connection.copy_out("COPY (SELECT * FROM " + std::string{tables.text(i, 0)} + ") TO STDOUT",
                        [&](std::string_view row) { digest.feed(row); }, a_minute());
    text += std::string{tables.text(i, 0)} + " " + std::to_string(digest.rows()) + " " + digest.hex() + "\n";
  }
  text += PostgresServer::program("pg_dump", {"-s", "--restrict-key=x", "-h", target.host, "-p", target.port, "-U", "postgres", "-d",
                                              "postgresql://postgres:" + target.password.reveal() + "@/" + target.database});
  text += answer(target, "SELECT last_value::text FROM customers_id_seq");
  text += answer(target, "SELECT string_agg(encode(lo_get(oid), 'hex'), ',') FROM pg_largeobject_metadata");
  return text;
}

struct Restoring : Backups {
  explicit Restoring(Shop& from) : shop{from} {}

  backup::Restored restore(backup::RestoreRequest request, const backup::RestoreHooks& hooks = {}) {
    if (request.backup.empty() && request.file.empty()) request.backup = "latest";
    return backup::restore(catalogue, {"test", shop.target(), {}}, request, {}, hooks, keys, clock, reporter, a_minute());
  }
  std::string databases() {
    return answer(shop.target("postgres"), "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE '" + shop.name + "%'");
  }
  Shop& shop;
};

inline Exit code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    MESSAGE(failure.message());
    return failure.code();
  }
  return Exit::ok;
}

inline std::string failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure.message();
  }
  return "none";
}

inline void flip(const std::filesystem::path& file, std::uintmax_t at) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(stream.get() ^ 0x20);
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(byte);
}

// A role that owns its database and may make others, and is no superuser.
struct Owner {
  explicit Owner(Shop& shop) : name{shop.name + "_owner"} {
    ask(shop.target(), "CREATE ROLE " + name + " LOGIN CREATEDB PASSWORD 'owner-pass'; ALTER DATABASE " + shop.name + " OWNER TO " + name);
    target = shop.target();
    target.user = name;
    target.password = Secret{"owner-pass"};
  }
  std::string name;
  io::postgres::Target target;
};

// A dump of it, and the request to restore that.
struct Files {
  explicit Files(Shop& shop, PostgresServer& server)
      : url{"postgresql://postgres@/" + shop.name + "?host=" + server.folder() + "&port=" + std::to_string(server.port())} {
    std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  }
  std::string dump(const std::vector<std::string>& options) const {
    std::vector<std::string> argv{"pg_dump"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(url);
    return io::capture({argv, {}, {}}, a_minute(), 1U << 30U);
  }
  backup::RestoreRequest request(const std::string& content) const {
    backup::RestoreRequest request;
    request.file = folder.path() / "dump";
    request.safety_backup = false;
    io::write_file(request.file, content);
    return request;
  }
  io::TemporaryFolder folder;
  std::string url;
};

}  // namespace codops::tests

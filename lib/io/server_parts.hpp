#pragma once
// A server that an application is told in pieces instead of a URL: DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, or PGHOST and its
// like, or REDIS_HOST and REDIS_PORT. Pure.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codops::io {

enum class Store { none, postgres, redis };

struct StoreParts {
  std::string family;                                   // "DB_", "PG", "REDIS_"
  std::string host, port, user, password, database;     // the names of the variables; empty: there is none
  std::string host_value, port_value;
  std::string url;                                      // what they say, as one

  const std::string& first() const { return !host.empty() ? host : !user.empty() ? user : database; }
  // What the port's variable would be called.
  std::string port_name() const { return port.empty() ? family + "PORT" : port; }
};

// nullopt or empty: it has none.
using PartLookup = std::function<std::optional<std::string>(const std::string& name)>;
// `host_needed`: where something else says what the user and the database are for (a compose file), they alone name no server. A piece
// that its family lacks is another's: DB_HOST beside POSTGRES_USER.
std::optional<StoreParts> store_parts(Store store, const PartLookup& look, bool host_needed);
// DB_CONNECTION=mysql, DB_PORT=3306: these pieces are another kind of server's. Empty: nothing says so.
std::string other_kind(const StoreParts& parts, const PartLookup& look);
// Are these pieces that kind of server's, by what they say themselves? "DB_" alone says nothing.
enum class Said { yes, no, nothing };
Said is_kind(Store store, const StoreParts& parts, const PartLookup& look);
// Every variable that may lead to such a server.
std::vector<std::string> part_names(Store store);

// "DB_" of DB_PASSWORD: the password of whoever logs in to a store of ours; empty: this name is no such password (DB_ADMIN_PASSWORD).
std::string password_family(std::string_view name);
std::vector<std::string> user_names(const std::string& family);

}  // namespace codops::io

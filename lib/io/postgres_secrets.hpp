#pragma once
// What must neither be shown nor be asked for when libpq connects.
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/failure.hpp"
#include "lib/io/postgres.hpp"

namespace codops::io::postgres {

// `text` of a server, in which the password may be quoted; `used` is the one that libpq found elsewhere (PGPASSWORD, a file). One
// that is the user's or the database's name as well hides nothing.
std::string without_password(const Target& target, std::string_view text, std::string_view used = {});
// Why its sslkey can't be read, which libpq says in OpenSSL's words; nullopt: that is not it.
std::optional<Failure> key_trouble(const Target& target);
// Before connecting: the passphrase of a client key is `sslpassword` or none. libpq alone would let OpenSSL ask on the terminal.
void never_ask_for_passphrases();

}  // namespace codops::io::postgres

#pragma once
// Which keys of an example are secrets that a developer's machine may simply invent. Pure.
#include <string_view>

#include "lib/io/server_parts.hpp"

namespace codops::scaffold::dev {

// POSTGRES_PASSWORD, JWT_SECRET, SESSION_KEY: a value that only this application knows. STRIPE_SECRET_KEY and its like
// belong to somebody else: an invented one would only fail later.
bool is_own_secret(std::string_view name);
// Names a secret of whatever kind: its value is never shown.
bool is_secret_name(std::string_view name);
// "", "change-me", "your-secret-here", "<generate>", "xxxx": nobody meant it as a value.
bool is_placeholder(std::string_view value);
// "$(openssl rand -hex 32)", "`uuidgen`": what a shell would run, and a .env file does not. A placeholder, too.
bool is_command(std::string_view value);

// What a URL's scheme and the name of a key have in common.
using io::Store;
Store store_of_scheme(std::string_view scheme);  // "postgresql", "rediss"
Store store_of_name(std::string_view name);      // POSTGRES_PORT, DB_PASSWORD, REDIS_URL

}  // namespace codops::scaffold::dev

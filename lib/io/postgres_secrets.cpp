#include "lib/io/postgres_secrets.hpp"

#include <libpq-fe.h>

#include "lib/base/without_secret.hpp"
#include "lib/io/files.hpp"
#include "lib/io/tls_certificates.hpp"

namespace codops::io::postgres {

std::string without_password(const Target& target, std::string_view text, std::string_view used) {
  std::string out{text};
  for (const auto& secret : {target.password, Secret{std::string{used}}}) {
    if (secret.reveal() != target.user && secret.reveal() != target.database) out = without_secret(out, secret);
  }
  return out;
}

std::optional<Failure> key_trouble(const Target& target) {
  const auto key = target.options.find("sslkey");
  if (key == target.options.end() || target.options.contains("sslpassword")) return std::nullopt;
  try {
    const auto pem = read_file_if_there(key->second);
    if (!pem || !is_encrypted_key(*pem)) return std::nullopt;
  } catch (const Failure&) {
    return std::nullopt;  // libpq names a file that can't be read
  }
  return Failure{Exit::config, "the client key \"" + key->second + "\" is encrypted, and its passphrase is not given",
                 "add sslpassword=… to the URL, or " + decrypt_hint(key->second)};
}

void never_ask_for_passphrases() { ::PQsetSSLKeyPassHook_OpenSSL(::PQdefaultSSLKeyPassHook_OpenSSL); }

}  // namespace codops::io::postgres

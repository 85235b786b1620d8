#pragma once
// What proves to the API server who we are, kept fresh: files of tokens are read again, plugins are asked again when what
// they gave has expired or was refused.
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/base/clock.hpp"
#include "lib/engine/kubernetes/connection.hpp"

namespace codops::engine::kubernetes {

// What a plugin printed (an ExecCredential): a token, or a certificate with its key, or all three.
struct ExecCredential {
  Secret token;
  std::string certificate_pem;
  Secret key_pem;
  std::optional<WallTime> expires;
};
// What a plugin said on its stderr, to be shown: one line, not more than 300 characters, without what looks like a token.
std::string shown_words(std::string_view text);

// Throws Failure{config}: not an ExecCredential of that version, or nothing in it.
ExecCredential parse_exec_credential(std::string_view text, std::string_view api_version);
// The value of KUBERNETES_EXEC_INFO.
std::string exec_info(const Connection& connection);

// Thread-safe.
class Authenticator {
 public:
  Authenticator(const Connection& connection, const Clock& clock);

  struct Proof {
    std::vector<std::pair<std::string, Secret>> headers;  // Authorization, Impersonate-…
    std::string certificate_pem;                          // from a plugin; empty: the connection's own
    Secret key_pem;
    std::uint64_t generation{};                           // of the plugin's answer
  };
  Proof proof(const Limits& limits);
  // The server answered 401 to that proof. True: there is a way to a newer one, so the call may be sent again.
  bool refused(const Proof& proof);

 private:
  Secret token_of_file();
  void ask_plugin(const Limits& limits);

  const Connection& connection_;
  const Clock& clock_;
  std::mutex mutex_;
  Secret file_token_;
  std::optional<Milliseconds> file_read_;  // Clock::since_boot
  std::optional<ExecCredential> given_;
  std::optional<Failure> plugin_failure_;
  Milliseconds plugin_failed_{};  // Clock::since_boot
  std::uint64_t generation_{0};
};

}  // namespace codops::engine::kubernetes

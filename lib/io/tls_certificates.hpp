#pragma once
// What OpenSSL knows about a peer, in our own words. Only for sources of lib/io that hold OpenSSL's objects.
#include <memory>
#include <string>

#include "lib/io/probe.hpp"
#include "lib/io/trust_stores.hpp"

struct ssl_ctx_st;
struct ssl_st;
struct x509_store_st;
struct x509_store_ctx_st;

namespace codops::io {

// What a verification found; filled by verify_peer().
struct Verification {
  std::string host;     // the name or address that the certificate must be for
  bool insecure{false};
  int error{0};         // X509_V_…; 0: verified
  int depth{0};         // 0: the leaf
  std::string culprit;  // subject of the certificate at fault
  std::string culprit_issuer;
  WallTime culprit_not_before, culprit_not_after;
  std::size_t sent{0};  // how many certificates the server sent
  bool certificate_wanted{false}, certificate_given{false};  // of ours: the server asked for it, we have one
  int alert{0};         // the last that the server sent, by its number in RFC 8446, section 6; 0: none
  TlsFacts facts;
};

// Makes `context` trust `store` and verify with `verification`, which must outlive the connections made from it.
void verify_with(ssl_ctx_st* context, x509_store_st* store, Verification& verification);

// Gives `context` our certificate and its key, if `trust` names them. Throws Failure{config} with the file at fault; an encrypted
// key without its passphrase is such a fault: OpenSSL itself would ask on the terminal, and everything would wait.
void present_certificate(ssl_ctx_st* context, TrustStores& stores, const Trust& trust, Verification& verification);

// Has what the server says about our certificate written to `verification`, as long as what is returned lives.
std::shared_ptr<void> listen_for_alerts(ssl_ctx_st* context, Verification& verification);

// The trouble when the server asked for a certificate of ours and then refused the connection; nullopt: it did not.
std::optional<ProbeResult> refused_certificate(const Verification& verification);
// For a connection that broke without a word after the server had asked; empty: it had not, or got one.
std::string certificate_hint(const Verification& verification);

// PEM text of a private key that only a passphrase opens.
bool is_encrypted_key(std::string_view pem);
// What to do about one.
std::string decrypt_hint(const std::string& key_file);

// The first error that OpenSSL has kept; all are forgotten.
std::string openssl_reason();

// The trouble that a failed verification is, with what to do about it.
ProbeResult verification_trouble(const Verification& verification, WallTime now);

}  // namespace codops::io

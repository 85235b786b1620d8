#pragma once
// What OpenSSL knows about a peer, in our own words. Only for sources of lib/io that hold OpenSSL's objects.
#include <memory>
#include <string>

#include "lib/io/probe.hpp"

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
  TlsFacts facts;
};

// Root stores, read once each: reading the system's takes milliseconds and no descriptor may be spent on it per probe.
class TrustStores {
 public:
  TrustStores();
  ~TrustStores();
  // Throws Failure{config} when the file can't be read or has no certificate. Empty: the system's.
  x509_store_st* get(const std::string& ca_file);

 private:
  struct Stores;
  std::unique_ptr<Stores> stores_;
};

// Makes `context` trust `store` and verify with `verification`, which must outlive the connections made from it.
void verify_with(ssl_ctx_st* context, x509_store_st* store, Verification& verification);

// The trouble that a failed verification is, with what to do about it.
ProbeResult verification_trouble(const Verification& verification, WallTime now);

}  // namespace codops::io

#pragma once
// Certificates made for a test, by OpenSSL.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct evp_pkey_st;
struct x509_st;

namespace codops::tests {

struct Identity {
  std::shared_ptr<evp_pkey_st> key;
  std::shared_ptr<x509_st> certificate;
  std::string pem() const;      // the certificate
  std::string key_pem(const std::string& passphrase = {}) const;  // with one: encrypted
};

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> names;  // "DNS:localhost", "IP:127.0.0.1"
  long valid_from_days{-1};        // relative to now
  long valid_to_days{30};
  bool authority{false};
  const Identity* issuer{nullptr};  // null: signs itself
};
Identity make_certificate(const CertificateRequest& request);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace codops::tests

#include "tests/support/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <fstream>

namespace codops::tests {
namespace {

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out{data, static_cast<std::size_t>(size)};
  BIO_free(bio);
  return out;
}

}  // namespace

std::string Identity::pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate.get());
  return text_of(bio);
}

std::string Identity::key_pem(const std::string& passphrase) const {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key.get(), passphrase.empty() ? nullptr : EVP_aes_256_cbc(), reinterpret_cast<const unsigned char*>(passphrase.data()),
                           static_cast<int>(passphrase.size()), nullptr, nullptr);
  return text_of(bio);
}

Identity make_certificate(const CertificateRequest& request) {
  static std::atomic<long> serial{1000};
  Identity out;
  out.key = {EVP_EC_gen("P-256"), &EVP_PKEY_free};
  out.certificate = {X509_new(), &X509_free};
  auto* certificate = out.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), request.valid_from_days * 86400);
  X509_gmtime_adj(X509_getm_notAfter(certificate), request.valid_to_days * 86400);
  X509_set_pubkey(certificate, out.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.c_str()), -1, -1, 0);
  const auto& issuer = request.issuer != nullptr ? *request.issuer : out;
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate.get()));
  extend(certificate, issuer.certificate.get(), NID_basic_constraints, request.authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (request.authority) extend(certificate, issuer.certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  if (!request.names.empty()) {
    std::string names;
    for (const auto& name : request.names) names += (names.empty() ? "" : ",") + name;
    extend(certificate, issuer.certificate.get(), NID_subject_alt_name, names);
  }
  X509_sign(certificate, issuer.key.get(), EVP_sha256());
  return out;
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

}  // namespace codops::tests

#include "lib/io/tls_certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "lib/base/failure.hpp"

namespace codops::io {
namespace {

WallTime to_wall(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ::ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime{std::chrono::seconds{::timegm(&parts)}};
}

std::string name_of(const X509_NAME* name) {
  if (name == nullptr) return {};
  const int at = ::X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at >= 0) {
    const auto* data = ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at));
    unsigned char* utf8 = nullptr;
    const int size = ::ASN1_STRING_to_UTF8(&utf8, data);
    if (size >= 0) {
      std::string text{reinterpret_cast<char*>(utf8), static_cast<std::size_t>(size)};
      ::OPENSSL_free(utf8);
      return text;
    }
  }
  char line[256] = "";
  ::X509_NAME_oneline(name, line, sizeof line);
  return line;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> out;
  auto* list = static_cast<GENERAL_NAMES*>(::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const auto* name = sk_GENERAL_NAME_value(list, i);
    if (name->type == GEN_DNS) {
      out.emplace_back(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<std::size_t>(::ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const auto* bytes = ::ASN1_STRING_get0_data(name->d.iPAddress);
      if (::ASN1_STRING_length(name->d.iPAddress) == 4) {
        out.push_back(fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]));
      }
    }
  }
  ::GENERAL_NAMES_free(list);
  return out;
}

Certificate describe(X509* certificate) {
  return {name_of(::X509_get_subject_name(certificate)), name_of(::X509_get_issuer_name(certificate)),
          names_of(certificate), to_wall(::X509_get0_notBefore(certificate)),
          to_wall(::X509_get0_notAfter(certificate))};
}

// OpenSSL finds a CA in a folder by the hash of its name: "4a6481c9.0".
bool is_named_by_hash(const std::string& name) {
  const auto hash = name.substr(0, name.find('.'));
  return hash.size() == 8 && name.size() > 9 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// A machine without ca-certificates trusts nobody, whatever a server sends.
bool trusts_nobody(X509_STORE* store) {
  if (sk_X509_OBJECT_num(::X509_STORE_get0_objects(store)) > 0) return false;
  const char* given = ::secure_getenv(::X509_get_default_cert_dir_env());
  std::string folders = given != nullptr ? given : ::X509_get_default_cert_dir();
  while (!folders.empty()) {
    const auto end = std::min(folders.find(':'), folders.size());
    std::error_code error;
    for (std::filesystem::directory_iterator it{folders.substr(0, end), error}, none; !error && it != none; it.increment(error)) {
      if (is_named_by_hash(it->path().filename().string())) return false;
    }
    folders.erase(0, end + 1);
  }
  return true;
}

bool misses_issuer(int error) {
  return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
         error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

// Called by OpenSSL instead of its own verification: the same verification, remembered.
int verify_peer(X509_STORE_CTX* context, void* argument) {
  auto& verification = *static_cast<Verification*>(argument);
  auto* parameters = ::X509_STORE_CTX_get0_param(context);
  if (!verification.host.empty() && ::X509_VERIFY_PARAM_set1_ip_asc(parameters, verification.host.c_str()) != 1) {
    // "shop.example." spares the resolver its search list; no certificate has the dot.
    ::X509_VERIFY_PARAM_set1_host(parameters, verification.host.data(), verification.host.size() - (verification.host.ends_with('.') ? 1 : 0));
  }
  const int verified = ::X509_verify_cert(context);
  verification.error = verified == 1 ? X509_V_OK : ::X509_STORE_CTX_get_error(context);
  if (misses_issuer(verification.error) && trusts_nobody(::X509_STORE_CTX_get0_store(context))) verification.error = X509_V_ERR_STORE_LOOKUP;
  verification.depth = ::X509_STORE_CTX_get_error_depth(context);
  const auto* sent = ::X509_STORE_CTX_get0_untrusted(context);
  verification.sent = static_cast<std::size_t>(std::max(0, sk_X509_num(sent)));
  const auto* chain = verified == 1 ? ::X509_STORE_CTX_get0_chain(context) : sent;
  verification.facts.verified = verified == 1;
  verification.facts.chain.clear();
  for (int i = 0; i < sk_X509_num(chain); ++i) verification.facts.chain.push_back(describe(sk_X509_value(chain, i)));
  if (verified != 1) {
    if (auto* culprit = ::X509_STORE_CTX_get_current_cert(context)) {
      const auto described = describe(culprit);
      verification.culprit = described.subject;
      verification.culprit_issuer = described.issuer;
      verification.culprit_not_before = described.not_before;
      verification.culprit_not_after = described.not_after;
    }
  }
  return verified == 1 || verification.insecure ? 1 : 0;
}

int alerts_index() {
  static const int index = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

void note_alert(const SSL* session, int where, int what) {
  if (where != SSL_CB_READ_ALERT) return;
  auto* verification = static_cast<Verification*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(session), alerts_index()));
  if (verification != nullptr) verification->alert = what & 0xff;
}

int note_request(SSL*, void* verification) {
  static_cast<Verification*>(verification)->certificate_wanted = true;
  return 1;
}

struct Passphrase {
  const Secret& value;
  bool asked{false};
};

int give_passphrase(char* into, int size, int, void* argument) {
  if (argument == nullptr) return -1;
  auto& passphrase = *static_cast<Passphrase*>(argument);
  passphrase.asked = true;
  const auto& value = passphrase.value.reveal();
  if (value.empty() || value.size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(into, value.data(), value.size());
  return static_cast<int>(value.size());
}

using Memory = std::unique_ptr<BIO, decltype(&::BIO_free)>;

Memory over(const std::string& text) { return {::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &::BIO_free}; }

// As SSL_CTX_use_certificate_chain_file() does it with a file: the leaf, then its intermediates.
bool use_chain(SSL_CTX* context, const std::string& pem) {
  const auto memory = over(pem);
  const std::unique_ptr<X509, decltype(&::X509_free)> leaf{::PEM_read_bio_X509_AUX(memory.get(), nullptr, give_passphrase, nullptr), &::X509_free};
  if (!leaf || ::SSL_CTX_use_certificate(context, leaf.get()) != 1) return false;
  ::SSL_CTX_clear_chain_certs(context);
  while (auto* next = ::PEM_read_bio_X509(memory.get(), nullptr, give_passphrase, nullptr)) {
    if (::SSL_CTX_add0_chain_cert(context, next) == 1) continue;
    ::X509_free(next);
    return false;
  }
  // The end of the text is an error too.
  if (ERR_GET_REASON(::ERR_peek_last_error()) != PEM_R_NO_START_LINE) return false;
  ::ERR_clear_error();
  return true;
}

bool use_key(SSL_CTX* context, const std::string& pem, Passphrase& passphrase) {
  const auto memory = over(pem);
  const std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key{::PEM_read_bio_PrivateKey(memory.get(), nullptr, give_passphrase, &passphrase), &::EVP_PKEY_free};
  return key && ::SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

}  // namespace

void verify_with(ssl_ctx_st* context, x509_store_st* store, Verification& verification) {
  ::SSL_CTX_set1_cert_store(context, store);
  ::SSL_CTX_set_cert_verify_callback(context, verify_peer, &verification);
  ::SSL_CTX_set_cert_cb(context, note_request, &verification);
}

void present_certificate(ssl_ctx_st* context, TrustStores& stores, const Trust& trust, Verification& verification) {
  if (trust.client_certificate.empty()) return;
  const auto& key_file = trust.client_key.empty() ? trust.client_certificate : trust.client_key;
  const auto chain = stores.pem(trust.client_certificate), key = stores.pem(key_file);
  ::ERR_clear_error();
  if (!use_chain(context, chain.text)) {
    const auto reason = openssl_reason();
    throw Failure{Exit::config, fmt::format("no client certificate can be read from \"{}\": {}", trust.client_certificate, chain.trouble.empty() ? reason : chain.trouble),
                  "name a PEM file with the certificate, followed by its intermediates"};
  }
  Passphrase passphrase{trust.key_passphrase};
  if (use_key(context, key.text, passphrase)) {
    verification.certificate_given = true;
    return;
  }
  const auto reason = openssl_reason();
  if (passphrase.asked) {
    throw Failure{Exit::config,
                  trust.key_passphrase.empty() ? fmt::format("the client key \"{}\" is encrypted, and its passphrase is not given", key_file)
                                               : fmt::format("the passphrase given does not open the client key \"{}\"", key_file),
                  "export CODOPS_KEY_PASSPHRASE, or " + decrypt_hint(key_file)};
  }
  throw Failure{Exit::config, fmt::format("the client key \"{}\" can't be used: {}", key_file, key.trouble.empty() ? reason : key.trouble),
                fmt::format("check that it is the PEM file of the key that belongs to \"{}\"", trust.client_certificate)};
}

std::shared_ptr<void> listen_for_alerts(ssl_ctx_st* context, Verification& verification) {
  ::SSL_CTX_set_ex_data(context, alerts_index(), &verification);
  ::SSL_CTX_set_info_callback(context, note_alert);
  ::SSL_CTX_up_ref(context);
  // Whoever made the session may close it, and hear its last words, when `verification` is long gone.
  return {context, [](ssl_ctx_st* heard) {
            ::SSL_CTX_set_ex_data(heard, alerts_index(), nullptr);
            ::SSL_CTX_free(heard);
          }};
}

bool is_encrypted_key(std::string_view pem) {
  return pem.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != std::string_view::npos || pem.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

std::string decrypt_hint(const std::string& key_file) {
  return fmt::format("take a key that needs none: openssl pkey -in {} -out plain.key", key_file);
}

std::string openssl_reason() {
  const auto code = ::ERR_get_error();
  ::ERR_clear_error();
  if (code == 0) return {};
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ::ERR_reason_error_string(code);
  return reason == nullptr ? "" : reason;
}

}  // namespace codops::io

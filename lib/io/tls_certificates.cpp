#include "lib/io/tls_certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <cstring>
#include <ctime>
#include <map>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"

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

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < 4; ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > 4) out += fmt::format(" and {} more", names.size() - 4);
  return out;
}

}  // namespace

struct TrustStores::Stores {
  std::map<std::string, std::unique_ptr<X509_STORE, decltype(&::X509_STORE_free)>> by_file;
};

TrustStores::TrustStores() : stores_{std::make_unique<Stores>()} {}
TrustStores::~TrustStores() = default;

x509_store_st* TrustStores::get(const std::string& ca_file) {
  const auto found = stores_->by_file.find(ca_file);
  if (found != stores_->by_file.end()) return found->second.get();
  std::unique_ptr<X509_STORE, decltype(&::X509_STORE_free)> store{::X509_STORE_new(), &::X509_STORE_free};
  // A CA file may name an intermediate or the server's own certificate, as curl's --cacert may.
  ::X509_STORE_set_flags(store.get(), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  if (ca_file.empty()) {
    ::X509_STORE_set_default_paths(store.get());
  } else if (::X509_STORE_load_file(store.get(), ca_file.c_str()) != 1) {
    ::ERR_clear_error();
    throw Failure{Exit::config, "no certificate can be read from \"" + ca_file + "\"",
                  "name a PEM file with the certificate of the CA"};
  }
  return stores_->by_file.emplace(ca_file, std::move(store)).first->second.get();
}

void verify_with(ssl_ctx_st* context, x509_store_st* store, Verification& verification) {
  ::SSL_CTX_set1_cert_store(context, store);
  ::SSL_CTX_set_cert_verify_callback(context, verify_peer, &verification);
  ::SSL_CTX_set_cert_cb(context, note_request, &verification);
}

void present_certificate(ssl_ctx_st* context, const Trust& trust, Verification& verification) {
  const auto& certificate = trust.client_certificate;
  if (certificate.empty()) return;
  const auto& key = trust.client_key.empty() ? certificate : trust.client_key;
  Passphrase passphrase{trust.key_passphrase};
  ::ERR_clear_error();
  ::SSL_CTX_set_default_passwd_cb(context, give_passphrase);
  ::SSL_CTX_set_default_passwd_cb_userdata(context, &passphrase);
  const bool certified = ::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1;
  const bool keyed = certified && ::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
  ::SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  const auto reason = certified && keyed ? std::string{} : openssl_reason();
  if (!certified) {
    throw Failure{Exit::config, fmt::format("no client certificate can be read from \"{}\": {}", certificate, reason),
                  "name a PEM file with the certificate, followed by its intermediates"};
  }
  if (!keyed && passphrase.asked) {
    throw Failure{Exit::config,
                  trust.key_passphrase.empty() ? fmt::format("the client key \"{}\" is encrypted, and its passphrase is not given", key)
                                               : fmt::format("the passphrase given does not open the client key \"{}\"", key),
                  "export CODOPS_KEY_PASSPHRASE, or " + decrypt_hint(key)};
  }
  if (!keyed) {
    throw Failure{Exit::config, fmt::format("the client key \"{}\" can't be used: {}", key, reason),
                  fmt::format("check that it is the PEM file of the key that belongs to \"{}\"", certificate)};
  }
  verification.certificate_given = true;
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

std::string certificate_hint(const Verification& verification) {
  if (!verification.certificate_wanted || verification.certificate_given) return {};
  return "the server asks for a client certificate: --cert FILE --key FILE, in codops.yaml certificate and key";
}

std::optional<ProbeResult> refused_certificate(const Verification& verification) {
  if (!verification.certificate_wanted) return std::nullopt;
  switch (verification.alert) {
    case SSL_AD_HANDSHAKE_FAILURE:  // what TLS 1.2 has for a certificate that did not come
    case SSL_AD_NO_CERTIFICATE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_CERTIFICATE_REQUIRED: break;
    default: return std::nullopt;
  }
  ProbeResult result;
  result.trouble = Trouble::failed;
  result.stage = Stage::tls;
  if (verification.certificate_given) {
    result.message = std::string{"the server refuses our client certificate: "} + ::SSL_alert_desc_string_long(verification.alert);
    result.hint = "check that it is from the CA that the server trusts, has not ended, and that the key is its own";
  } else {
    result.message = "the server wants a client certificate, and none was given";
    result.hint = "--cert FILE --key FILE, in codops.yaml certificate and key";
  }
  return result;
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

ProbeResult verification_trouble(const Verification& verification, WallTime now) {
  ProbeResult result;
  result.stage = Stage::tls;
  result.trouble = Trouble::failed;
  result.tls = verification.facts;
  const auto age = [&](WallTime time) { return format_age(std::chrono::duration_cast<Milliseconds>(now - time)); };
  const std::string whose = verification.depth == 0 ? "the certificate" : "a certificate of the chain";
  const bool self_made =
      verification.sent == 1 && !verification.culprit.empty() && verification.culprit == verification.culprit_issuer;
  switch (verification.error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      result.message = fmt::format("{} \"{}\" expired {}", whose, verification.culprit, age(verification.culprit_not_after));
      result.hint = "renew it, then reload the server";
      break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      result.message = fmt::format("{} \"{}\" is valid only from {}", whose, verification.culprit,
                                   to_rfc3339(verification.culprit_not_before));
      result.hint = "check the clock of this machine and of the one that issued it";
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      result.message = fmt::format("the certificate is for {}, not for \"{}\"",
                                   verification.facts.chain.empty() ? "another name"
                                   : verification.facts.chain.front().names.empty()
                                       ? "\"" + verification.facts.chain.front().subject + "\""
                                       : joined(verification.facts.chain.front().names),
                                   verification.host);
      result.hint = "check the server's name in the URL, or issue the certificate for it too";
      break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      result.message = fmt::format("\"{}\" signed itself and is not trusted here", verification.culprit);
      result.hint = "name it as the CA to trust: --ca FILE";
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      if (verification.sent <= 1 && !self_made) {
        result.message = fmt::format("the server sends its certificate without the intermediate \"{}\"",
                                     verification.culprit_issuer);
        result.hint = "serve the full chain (certificate, then intermediates), or name a private CA: --ca FILE";
      } else {
        result.message = fmt::format("the issuer \"{}\" is not trusted here", verification.culprit_issuer);
        result.hint = "name its CA: --ca FILE";
      }
      break;
    default:
      result.message = std::string{"the certificate does not verify: "} +
                       ::X509_verify_cert_error_string(verification.error);
      result.hint = "openssl s_client -connect HOST:PORT -servername HOST shows the chain";
  }
  return result;
}

}  // namespace codops::io

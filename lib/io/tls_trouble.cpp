// What went wrong with a certificate, theirs or ours, and what to do about it.
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/io/tls_certificates.hpp"

namespace codops::io {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < 4; ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > 4) out += fmt::format(" and {} more", names.size() - 4);
  return out;
}

}  // namespace

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
      result.hint = "name it as the CA to trust: --ca FILE, in codops.yaml ca";
      break;
    case X509_V_ERR_STORE_LOOKUP:  // there is nobody to look up
      result.trouble = Trouble::unknown;
      result.message = "this machine has no CA certificates: nothing can be verified";
      result.hint = "install ca-certificates, or name the CA: --ca FILE, in codops.yaml ca";
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      if (verification.sent <= 1 && !self_made) {
        result.message = fmt::format("the server sends its certificate without the intermediate \"{}\"",
                                     verification.culprit_issuer);
        result.hint = "serve the full chain (certificate, then intermediates), or name a private CA: --ca FILE, in codops.yaml ca";
      } else {
        result.message = fmt::format("the issuer \"{}\" is not trusted here", verification.culprit_issuer);
        result.hint = "name its CA: --ca FILE, in codops.yaml ca";
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

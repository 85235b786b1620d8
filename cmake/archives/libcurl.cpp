// codops speaks HTTP and HTTPS. In libcurl.a one table names every protocol, and through it LDAP, RTMP, SSH and Kerberos would be linked
// with their 25 shared libraries: these stand in for whole members of the archive, so that the linker leaves those out, and refuse
// whoever asks. They know libcurl's internals by name only: cmake/archives/probe_libcurl.cpp finds out whether they fit.
#include <curl/curl.h>

// Found by its name, which comes first in libcurl's struct; no bit of the protocols that may be used, so that it is refused ("not
// supported or disabled") before anything else of it is looked at.
struct Protocol {
  const char* scheme;
  void* rest[63];
};
#define CODOPS_NO_PROTOCOL(name)             \
  extern "C" {                               \
  extern const Protocol Curl_handler_##name; \
  const Protocol Curl_handler_##name{#name, {}}; \
  }
CODOPS_NO_PROTOCOL(dict)
CODOPS_NO_PROTOCOL(file)
CODOPS_NO_PROTOCOL(ftp)
CODOPS_NO_PROTOCOL(ftps)
CODOPS_NO_PROTOCOL(gopher)
CODOPS_NO_PROTOCOL(gophers)
CODOPS_NO_PROTOCOL(imap)
CODOPS_NO_PROTOCOL(imaps)
CODOPS_NO_PROTOCOL(ldap)
CODOPS_NO_PROTOCOL(ldaps)
CODOPS_NO_PROTOCOL(mqtt)
CODOPS_NO_PROTOCOL(pop3)
CODOPS_NO_PROTOCOL(pop3s)
CODOPS_NO_PROTOCOL(rtmp)
CODOPS_NO_PROTOCOL(rtmpe)
CODOPS_NO_PROTOCOL(rtmps)
CODOPS_NO_PROTOCOL(rtmpt)
CODOPS_NO_PROTOCOL(rtmpte)
CODOPS_NO_PROTOCOL(rtmpts)
CODOPS_NO_PROTOCOL(rtsp)
CODOPS_NO_PROTOCOL(scp)
CODOPS_NO_PROTOCOL(sftp)
CODOPS_NO_PROTOCOL(smb)
CODOPS_NO_PROTOCOL(smbs)
CODOPS_NO_PROTOCOL(smtp)
CODOPS_NO_PROTOCOL(smtps)
CODOPS_NO_PROTOCOL(telnet)
CODOPS_NO_PROTOCOL(tftp)

// What the rest of libcurl calls of those members. Whatever the arguments are, they are not looked at.
#define CODOPS_REFUSE(name) \
  extern "C" CURLcode name() { return CURLE_NOT_BUILT_IN; }
#define CODOPS_NOTHING(name) \
  extern "C" void* name() { return nullptr; }
CODOPS_REFUSE(Curl_pop3_write)
CODOPS_REFUSE(Curl_rtsp_parseheader)
CODOPS_REFUSE(Curl_smtp_escape_eob)
CODOPS_NOTHING(ftp_conns_match)
CODOPS_NOTHING(Curl_ssh_init)  // CURLE_OK: curl_global_init() asks
CODOPS_NOTHING(Curl_ssh_cleanup)
// Kerberos: not offered to a server, refused to a SOCKS proxy that wants it.
CODOPS_REFUSE(Curl_SOCKS5_gssapi_negotiate)
CODOPS_NOTHING(Curl_auth_is_spnego_supported)
CODOPS_REFUSE(Curl_auth_create_spnego_message)
CODOPS_REFUSE(Curl_auth_decode_spnego_message)
CODOPS_NOTHING(Curl_auth_cleanup_spnego)
CODOPS_NOTHING(Curl_sec_conn_init)
CODOPS_NOTHING(Curl_sec_conn_destroy)
// HTTP/3 of libcurl 8, its kind of connection found by name too.
CODOPS_REFUSE(Curl_cf_osslq_create)
CODOPS_NOTHING(Curl_conn_is_osslq)
CODOPS_NOTHING(Curl_osslq_ver)
extern "C" {
extern Protocol Curl_cft_http3;
Protocol Curl_cft_http3{"HTTP/3", {}};
}

// Other people's libraries. Cookies are never on, and would be refused; an answer in brotli is not asked for, and would be an error.
CODOPS_NOTHING(psl_builtin)
CODOPS_NOTHING(psl_latest)
CODOPS_NOTHING(psl_free)
CODOPS_NOTHING(psl_is_cookie_domain_acceptable)
CODOPS_NOTHING(BrotliDecoderCreateInstance)
CODOPS_NOTHING(BrotliDecoderDestroyInstance)
CODOPS_NOTHING(BrotliDecoderDecompressStream)
CODOPS_NOTHING(BrotliDecoderGetErrorCode)
// A name in another script is refused: libidn2 reads it in the program's locale, and codops has none.
extern "C" const char* idn2_check_version(const char*) { return "2.3"; }
extern "C" int idn2_lookup_ul(const char*, char**, int) { return -1; }
extern "C" int idn2_to_unicode_8z8z(const char*, char**, int) { return -1; }
CODOPS_NOTHING(idn2_free)

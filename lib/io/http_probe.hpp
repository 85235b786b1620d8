#pragma once
// HTTP on the event loop (curl's multi socket interface): a fresh connection a probe, every stage timed, the body
// streamed. For ordinary calls to an API use lib/io/http.hpp.
#include <string>
#include <utility>
#include <vector>

#include "lib/base/secret.hpp"
#include "lib/io/event_loop.hpp"
#include "lib/io/probe.hpp"
#include "lib/io/resolver.hpp"
#include "lib/io/tls_certificates.hpp"

namespace codops::io {

struct HttpProbeRequest {
  enum class Redirects {
    keep,       // the redirect is the answer
    follow,     // but never from https to http
    same_host,  // as follow, and never to another host
  };
  enum class Version { automatic, http1, http2, http2_prior_knowledge };

  std::string url;  // http or https; its userinfo is sent as basic authentication, and to that host only
  std::string method{"GET"};
  std::vector<std::pair<std::string, Secret>> headers;  // "Host" replaces the URL's
  std::string body;
  Via via;                  // for the URL's own host; a redirect to another one goes there directly
  std::string server_name;  // SNI, the verified name and the default Host when the URL's host is an address; empty: the URL's
  Trust trust;
  Redirects redirects{Redirects::follow};
  int max_redirects{5};
  Version version{Version::automatic};
  std::size_t keep_body{0};            // so much of the body is kept; the rest is counted
  std::size_t keep_json{0};            // the same, when Content-Type says that it is JSON
  std::uint64_t read_body{1U << 20U};  // reading stops there, and that is no trouble
};

struct HttpProbeResult : ProbeResult {
  long status{0};
  std::vector<std::pair<std::string, std::string>> headers;  // of the last response, names in lower case
  std::string body;
  std::uint64_t body_bytes{0};
  bool body_cut{false};  // reading stopped at read_body
  bool is_json{false};   // Content-Type says so
  std::string url;       // of the last response, without userinfo
  std::string version;   // "1.1", "2"

  const std::string* header(std::string_view name) const;
};

// The HTTP client of one loop. Probes must be gone before it is.
class HttpProber {
 public:
  using Done = std::function<void(const HttpProbeResult&)>;

  HttpProber(EventLoop& loop, Resolver& resolver, TrustStores& stores);
  ~HttpProber();
  HttpProber(const HttpProber&) = delete;
  HttpProber& operator=(const HttpProber&) = delete;

  // `done` comes once, on the loop, never before this returns. The probe must not be destroyed inside it.
  std::unique_ptr<Probe> start(HttpProbeRequest request, Done done);

 private:
  class Transfer;
  struct Multi;
  std::unique_ptr<Multi> multi_;
};

// Whether a value under that name, of a header or a query, is nobody's business.
bool names_a_secret(std::string_view name);
// What `request` carries that must not be shown, as a server may quote it: passwords, values of headers and of the query whose
// names say that they are secret.
std::vector<Secret> secrets_of(const HttpProbeRequest& request);

// Why the headers of an HTTP/1 answer leave its length open to two readings (RFC 9112, section 6.3), which is how requests are
// smuggled; empty: they do not. Names in lower case.
std::string framing_conflict(const std::vector<std::pair<std::string, std::string>>& headers);

// A URL with every secret hidden: passwords, a bare token as user, query values whose name says that they are secret.
// Fragments count as queries; long segments and values that only a machine writes are taken for tokens.
std::string shown_url(std::string_view url);
// The same for every URL inside a text.
std::string shown_text(std::string_view text);

}  // namespace codops::io

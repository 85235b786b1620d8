#pragma once
// The insides of HttpProber; only for its own sources.
#include <curl/curl.h>

#include "lib/io/http_probe.hpp"
#include "lib/io/tcp_probe.hpp"

namespace codops::io {

struct HttpProber::Multi {
  Multi(EventLoop& loop, Resolver& resolver, TrustStores& stores);
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*);
  static int on_timer(CURLM*, long milliseconds, void* self);
  void act(curl_socket_t socket, int events);

  EventLoop& loop;
  Resolver& resolver;
  TrustStores& stores;
  CURLM* handle{};
  std::optional<EventLoop::Timer> timer;
};

inline constexpr std::size_t most_header_bytes = 128U << 10U;  // of one hop, as browsers allow or less

// One probe: a chain of requests when it follows redirects, each with a lookup of its own.
class HttpProber::Transfer final : public Probe {
 public:
  Transfer(Multi& multi, HttpProbeRequest request, Done done);
  ~Transfer() override;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void ended(CURLcode code);

  Stage stage() const override;
  StageTimes times() const override;
  std::string address() const override;
  std::string waits_for() const override;

 private:
  struct Parts {  // of the URL of the current hop
    std::string scheme, host;
    std::uint16_t port{};
  };
  void begin_hop(const std::string& url);
  bool split(const std::string& url);
  void look_up();
  void go(const std::vector<Address>& addresses);
  void set_options(const std::vector<Address>& addresses);
  void connect_to(const std::vector<Address>& addresses);
  void set_identity();
  std::optional<std::string> redirect_target();  // nullopt: this response is the answer, or fail() was called
  ProbeResult explain(CURLcode code) const;
  std::optional<ProbeResult> half_an_answer(CURLcode code) const;
  void fail(Stage stage, Trouble trouble, std::string message, std::string hint);
  void finish();
  void take_times(StageTimes& into) const;
  void leave_multi() noexcept;
  const Via* via() const;
  void choose(const std::string& host, const std::vector<Address>& addresses);
  bool is_home() const;
  void free_lists() noexcept;

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static curl_socket_t on_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static CURLcode on_ssl_context(CURL*, void* context, void* self);

  Multi& multi_;
  HttpProbeRequest request_;
  Done done_;
  CURL* easy_{};
  bool in_multi_{false};
  curl_slist* headers_{};
  curl_slist* resolve_{};
  curl_slist* connect_to_{};
  char error_[CURL_ERROR_SIZE]{};
  int socket_error_{0};  // why the last socket could not be made
  std::size_t header_bytes_{0};
  std::string first_url_;
  Parts parts_;
  std::string url_;          // of this hop, without userinfo
  std::string user_, password_;
  Parts first_;  // userinfo, headers, certificate and `via` are for this origin only
  int hops_{0};
  bool in_headers_{true}, interim_{false};
  std::string framing_conflict_;
  Errand reading_;  // of the files to trust
  Resolver::Ticket ticket_;
  std::unique_ptr<Connector> connector_;  // while one of several addresses is chosen
  std::optional<EventLoop::Timer> timer_;
  EventLoop::TimePoint lookup_start_, hop_start_;
  std::optional<EventLoop::TimePoint> tls_start_;  // curl itself tells connect and TLS apart only at their end
  bool looking_up_{false};
  Verification verification_;
  std::shared_ptr<void> alerts_;  // gone before what it writes to
  std::optional<ProbeResult> setup_trouble_;  // found inside a callback of curl
  HttpProbeResult result_;
};

}  // namespace codops::io

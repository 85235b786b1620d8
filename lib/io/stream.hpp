#pragma once
// A connected socket on the event loop, in the clear or under TLS: bytes out, bytes in, nothing blocks.
#include <memory>
#include <string>
#include <string_view>

#include "lib/io/event_loop.hpp"
#include "lib/io/tls_certificates.hpp"

namespace codops::io {

class Stream {
 public:
  using Secured = std::function<void(const ProbeResult&)>;  // trouble none: `tls` has what was found
  using Data = std::function<void(std::string_view)>;
  using Ended = std::function<void(const std::string& why)>;  // empty: the peer closed

  Stream(EventLoop& loop, int fd);  // takes the descriptor over
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The TLS handshake; `host` is the name to ask for and to verify.
  void secure(TrustStores& stores, const Trust& trust, const std::string& host, Secured done);
  // Why the peer ended it, when it was over our certificate: under TLS 1.3 that is said only after the handshake.
  std::optional<ProbeResult> certificate_trouble() const;
  // The server asked for a certificate of ours and has not yet said what it makes of it.
  bool awaits_verdict() const;
  void listen(Data data, Ended ended);
  void send(std::string_view bytes);

 private:
  struct Tls;
  void update();
  void ready(std::uint32_t events);
  void shake_hands();
  void read_all();
  void write_all();
  void end(std::string why);
  void secured(ProbeResult result);

  EventLoop& loop_;
  int fd_;
  std::unique_ptr<Tls> tls_;
  std::string out_;
  bool wants_write_{false};
  Secured secured_;
  Data data_;
  Ended ended_;
  std::shared_ptr<bool> alive_;  // callbacks may destroy the stream
};

}  // namespace codops::io

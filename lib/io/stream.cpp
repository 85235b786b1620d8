#include "lib/io/stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "lib/io/resolver.hpp"

namespace codops::io {

struct Stream::Tls {
  std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context{::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&::SSL_free)> session{nullptr, &::SSL_free};
  Verification verification;
  std::shared_ptr<void> alerts;  // gone before what it writes to
  bool shaken{false};
};

Stream::Stream(EventLoop& loop, int fd) : loop_{loop}, fd_{fd}, alive_{std::make_shared<bool>(true)} {}

Stream::~Stream() {
  *alive_ = false;
  loop_.unwatch(fd_);
  ::close(fd_);
}

void Stream::secure(TrustStores& stores, const Trust& trust, const std::string& host, Secured done) {
  secured_ = std::move(done);
  tls_ = std::make_unique<Tls>();
  tls_->verification.host = host;
  tls_->verification.insecure = trust.insecure;
  auto* context = tls_->context.get();
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  verify_with(context, stores.get(trust.ca_file), tls_->verification);
  tls_->alerts = listen_for_alerts(context, tls_->verification);
  present_certificate(context, stores, trust, tls_->verification);
  tls_->session.reset(::SSL_new(context));
  ::SSL_set_fd(tls_->session.get(), fd_);
  // RFC 6066: without the dot at the end.
  if (numeric_addresses(host).empty()) ::SSL_set_tlsext_host_name(tls_->session.get(), host.substr(0, host.size() - (host.ends_with('.') ? 1 : 0)).c_str());
  ::SSL_set_connect_state(tls_->session.get());
  // What is still to be sent sits in a string that moves as it grows.
  ::SSL_set_mode(tls_->session.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
  shake_hands();
}

std::optional<ProbeResult> Stream::certificate_trouble() const {
  return tls_ ? refused_certificate(tls_->verification) : std::nullopt;
}

bool Stream::awaits_verdict() const {
  return tls_ && tls_->shaken && tls_->verification.certificate_wanted && ::SSL_version(tls_->session.get()) == TLS1_3_VERSION;
}

void Stream::listen(Data data, Ended ended) {
  data_ = std::move(data);
  ended_ = std::move(ended);
  update();
}

void Stream::send(std::string_view bytes) {
  out_ += bytes;
  write_all();
}

void Stream::update() {
  const auto events = static_cast<std::uint32_t>(wants_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
  loop_.watch(fd_, events, [this](std::uint32_t ready_events) { ready(ready_events); });
}

void Stream::ready(std::uint32_t) {
  const auto alive = alive_;
  if (tls_ && !tls_->shaken) return shake_hands();
  if (!out_.empty()) write_all();
  if (*alive) read_all();
}

void Stream::shake_hands() {
  ::ERR_clear_error();
  errno = 0;
  auto* session = tls_->session.get();
  const int done = ::SSL_do_handshake(session);
  const int system_error = errno;
  if (done == 1) {
    tls_->shaken = true;
    wants_write_ = false;
    update();
    ProbeResult result;
    result.tls = tls_->verification.facts;
    result.tls->version = ::SSL_get_version(session);
    result.tls->misses_certificate = tls_->verification.certificate_wanted && !tls_->verification.certificate_given;
    return secured(std::move(result));
  }
  const int error = ::SSL_get_error(session, done);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    wants_write_ = error == SSL_ERROR_WANT_WRITE;
    return update();
  }
  loop_.unwatch(fd_);
  const auto reason = openssl_reason();
  if (tls_->verification.error != 0 && !tls_->verification.insecure) {
    const auto now = std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
    return secured(verification_trouble(tls_->verification, now));
  }
  if (auto refused = certificate_trouble()) return secured(std::move(*refused));
  ProbeResult result;
  result.trouble = Trouble::failed;
  result.stage = Stage::tls;
  if (!reason.empty()) {
    result.message = "the TLS handshake failed: " + reason;
    result.hint = "check that the port speaks TLS";
  } else {
    result.message = system_error != 0 ? std::string{"the connection broke in the TLS handshake: "} + std::strerror(system_error)
                                       : "the server closed the connection in the TLS handshake";
    result.hint = "check that the port speaks TLS, and the server's log";
  }
  if (const auto hint = certificate_hint(tls_->verification); !hint.empty()) result.hint = hint;
  secured(std::move(result));
}

void Stream::secured(ProbeResult result) {
  const auto done = std::move(secured_);
  done(result);
}

void Stream::write_all() {
  while (!out_.empty()) {
    ssize_t sent = 0;
    if (tls_) {
      ::ERR_clear_error();
      const int wrote = ::SSL_write(tls_->session.get(), out_.data(), static_cast<int>(out_.size()));
      if (wrote <= 0) {
        const int error = ::SSL_get_error(tls_->session.get(), wrote);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return end(openssl_reason());
        break;
      }
      sent = wrote;
    } else {
      sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) break;
        return end(std::strerror(errno));
      }
    }
    out_.erase(0, static_cast<std::size_t>(sent));
  }
  wants_write_ = !out_.empty();
  update();
}

void Stream::read_all() {
  const auto alive = alive_;
  std::array<char, 16384> buffer{};
  for (;;) {
    ssize_t got = 0;
    if (tls_) {
      ::ERR_clear_error();
      got = ::SSL_read(tls_->session.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (got <= 0) {
        const int error = ::SSL_get_error(tls_->session.get(), static_cast<int>(got));
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
        return end(openssl_reason());
      }
    } else {
      got = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got < 0) return end(std::strerror(errno));
      if (got == 0) return end({});
    }
    if (data_) data_({buffer.data(), static_cast<std::size_t>(got)});
    if (!*alive) return;
  }
}

void Stream::end(std::string why) {
  loop_.unwatch(fd_);
  const auto ended = std::move(ended_);
  if (ended) ended(why);
}

}  // namespace codops::io

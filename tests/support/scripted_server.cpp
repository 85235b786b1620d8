#include "tests/support/scripted_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <stdexcept>

namespace codops::tests {
namespace {

// Generous: a test that hits it has failed anyway.
constexpr int patience = 20'000;

bool readable(int fd, int milliseconds) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, milliseconds) > 0;
}

}  // namespace

std::string Peer::read_some() {
  std::array<char, 4096> buffer{};
  if (tls_ == nullptr && !readable(fd_, patience)) return {};
  const auto got = tls_ != nullptr ? static_cast<ssize_t>(::SSL_read(tls_, buffer.data(), buffer.size()))
                                   : ::recv(fd_, buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string{buffer.data(), static_cast<std::size_t>(got)} : std::string{};
}

std::string Peer::read_request() {
  std::string out;
  while (out.find("\r\n\r\n") == std::string::npos) {
    const auto some = read_some();
    if (some.empty()) return {};
    out += some;
  }
  return out;
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = tls_ != nullptr ? static_cast<ssize_t>(::SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())))
                                      : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Peer::wait_for_hangup(int milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{milliseconds};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    if (left <= 0 || !readable(fd_, static_cast<int>(left))) return false;
    std::array<char, 4096> buffer{};
    if (::recv(fd_, buffer.data(), buffer.size(), 0) <= 0) return true;
  }
}

void Peer::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

ScriptedServer::ScriptedServer(Script script, ServerOptions options)
    : script_{std::move(script)}, options_{std::move(options)}, stop_{::eventfd(0, EFD_CLOEXEC)} {
  std::signal(SIGPIPE, SIG_IGN);
  const bool v6 = options_.address.find(':') != std::string::npos;
  listener_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (v6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(options_.port);
    ::inet_pton(AF_INET6, options_.address.c_str(), &address.sin6_addr);
    size = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    ::inet_pton(AF_INET, options_.address.c_str(), &address.sin_addr);
    size = sizeof address;
  }
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&storage), size) != 0 || ::listen(listener_, 1024) != 0) {
    throw std::runtime_error{"the scripted server cannot listen"};
  }
  size = sizeof storage;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&storage), &size);
  port_ = ntohs(v6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port : reinterpret_cast<sockaddr_in&>(storage).sin_port);
  if (options_.identity != nullptr) {
    context_ = {::SSL_CTX_new(::TLS_server_method()), &::SSL_CTX_free};
    ::SSL_CTX_use_certificate(context_.get(), options_.identity->certificate.get());
    ::SSL_CTX_use_PrivateKey(context_.get(), options_.identity->key.get());
    if (!options_.chain.empty()) {
      BIO* bio = ::BIO_new_mem_buf(options_.chain.data(), static_cast<int>(options_.chain.size()));
      while (X509* certificate = ::PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
        ::SSL_CTX_add_extra_chain_cert(context_.get(), certificate);
      }
      ::BIO_free(bio);
    }
    if (!options_.client_ca.empty()) {
      ::SSL_CTX_load_verify_locations(context_.get(), options_.client_ca.c_str(), nullptr);
      ::SSL_CTX_set_verify(context_.get(), options_.client_may_lack ? SSL_VERIFY_PEER : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    if (options_.tls12) ::SSL_CTX_set_max_proto_version(context_.get(), TLS1_2_VERSION);
  }
  acceptor_ = std::thread{[this] { accept_all(); }};
}

ScriptedServer::~ScriptedServer() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_, &one, sizeof one);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  ::close(listener_);
  ::close(stop_);
}

std::string ScriptedServer::url(std::string_view path) const {
  return fmt::format("{}://{}:{}{}", context_ ? "https" : "http",
                     options_.address.find(':') != std::string::npos ? "[" + options_.address + "]" : options_.address, port_, path);
}

void ScriptedServer::accept_all() {
  for (;;) {
    std::array<pollfd, 2> items{pollfd{listener_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
    ::poll(items.data(), items.size(), -1);
    if (items[1].revents != 0) return;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++connections_;
    const std::lock_guard lock{mutex_};
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void ScriptedServer::serve(int fd) {
  ssl_st* tls = nullptr;
  bool open = true;
  if (context_ && options_.handshake) {
    tls = ::SSL_new(context_.get());
    ::SSL_set_fd(tls, fd);
    open = ::SSL_accept(tls) == 1;
  }
  Peer peer{fd, tls};
  if (open) script_(peer);
  if (tls != nullptr) {
    if (open) ::SSL_shutdown(tls);
    ::SSL_free(tls);
  }
  ::close(fd);
}

std::string response(std::string_view body, std::string_view status, std::string_view headers) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}", status, body.size(), headers, body);
}

}  // namespace codops::tests

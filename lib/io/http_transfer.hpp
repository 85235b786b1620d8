#pragma once
// One exchange at a time on one libcurl handle with a connection cache of its own. Private to lib/io/http*.
#include <exception>
#include <memory>
#include <string>

#include "lib/io/http.hpp"

struct curl_slist;

namespace codops::io {

// "https://user@host:2376/prefix" → "host:2376"
std::string url_authority(std::string_view url);

class HttpTransfer {
 public:
  HttpTransfer();
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  enum class Connection { reuse, fresh };
  enum class Until { head, data, end };

  void start(const HttpServer& server, const HttpRequest& request, Connection connection);
  // Opens the connection and leaves it to try_* (CURLOPT_CONNECT_ONLY).
  void connect(const HttpServer& server, const Limits& limits);
  // Moves bytes until that much of the answer is here. Throws what libcurl, the callbacks or the limits say.
  void drive(Until until, const Limits& limits);
  void forget_timeout() { timeout_ = Deadline::never(); }
  // Ends the exchange; the connection is kept when the answer was read to its end.
  void stop() noexcept;

  bool finished() const noexcept { return finished_; }
  bool connection_was_reused() const;
  HttpResponse& response() noexcept { return response_; }
  std::string& buffer() noexcept { return buffer_; }
  void* easy() const noexcept { return easy_; }

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_upload(char* into, std::size_t size, std::size_t count, void* self);

  void set_server(const HttpServer& server);
  void set_url(const HttpServer& server, const std::string& target);
  void set_body();
  bool reached(Until until) const;
  void step();
  int pause(const Limits& limits) const;
  void check(const Limits& limits);
  [[noreturn]] void fail(int code);

  void* easy_;
  void* multi_;
  curl_slist* headers_{};
  curl_slist* connect_to_{};
  const HttpServer* server_{};
  HttpRequest request_;
  HttpResponse response_;
  std::string buffer_;
  std::exception_ptr thrown_;  // by a callback
  std::exception_ptr lost_;    // the exchange's own end, when it is a bad one
  Deadline timeout_{Deadline::never()};
  Deadline::TimePoint last_activity_{};
  bool added_{}, connect_only_{}, head_complete_{}, finished_{};
  char error_[256]{};
};

}  // namespace codops::io

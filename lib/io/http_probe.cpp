#include "lib/io/http_probe.hpp"

#include <sys/epoll.h>

#include "lib/io/http_probe_transfer.hpp"

namespace codops::io {
namespace {

std::uint32_t to_epoll(int what) {
  switch (what) {
    case CURL_POLL_IN: return EPOLLIN;
    case CURL_POLL_OUT: return EPOLLOUT;
    default: return EPOLLIN | EPOLLOUT;
  }
}

}  // namespace

HttpProber::Multi::Multi(EventLoop& the_loop, Resolver& the_resolver, TrustStores& the_stores)
    : loop{the_loop}, resolver{the_resolver}, stores{the_stores} {
  static const auto global = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  handle = global == CURLE_OK ? ::curl_multi_init() : nullptr;
  if (handle == nullptr) throw Failure{Exit::unknown, "libcurl cannot start", "raise the limit of open files: ulimit -n 1024"};
  ::curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
  ::curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, this);
  ::curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, &Multi::on_timer);
  ::curl_multi_setopt(handle, CURLMOPT_TIMERDATA, this);
  ::curl_multi_setopt(handle, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

HttpProber::Multi::~Multi() {
  if (timer) loop.cancel(*timer);
  ::curl_multi_cleanup(handle);
}

int HttpProber::Multi::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  auto& multi = *static_cast<Multi*>(self);
  if (what == CURL_POLL_REMOVE) {
    multi.loop.unwatch(socket);
  } else {
    multi.loop.watch(socket, to_epoll(what), [&multi, socket](std::uint32_t events) {
      int bits = 0;
      if (events & EPOLLIN) bits |= CURL_CSELECT_IN;
      if (events & EPOLLOUT) bits |= CURL_CSELECT_OUT;
      if (events & (EPOLLERR | EPOLLHUP)) bits |= CURL_CSELECT_ERR;
      multi.act(socket, bits);
    });
  }
  return 0;
}

int HttpProber::Multi::on_timer(CURLM*, long milliseconds, void* self) {
  auto& multi = *static_cast<Multi*>(self);
  if (multi.timer) multi.loop.cancel(*multi.timer);
  multi.timer.reset();
  // Never acted upon from in here: curl forbids calls into itself from its callbacks.
  if (milliseconds >= 0) {
    multi.timer = multi.loop.after(Milliseconds{milliseconds}, [&multi] {
      multi.timer.reset();
      multi.act(CURL_SOCKET_TIMEOUT, 0);
    });
  }
  return 0;
}

void HttpProber::Multi::act(curl_socket_t socket, int events) {
  int running = 0;
  ::curl_multi_socket_action(handle, socket, events, &running);
  int left = 0;
  while (const auto* message = ::curl_multi_info_read(handle, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* transfer = nullptr;
    const auto result = message->data.result;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    reinterpret_cast<Transfer*>(transfer)->ended(result);
  }
}

HttpProber::HttpProber(EventLoop& loop, Resolver& resolver, TrustStores& stores)
    : multi_{std::make_unique<Multi>(loop, resolver, stores)} {}

HttpProber::~HttpProber() = default;

std::unique_ptr<Probe> HttpProber::start(HttpProbeRequest request, Done done) {
  return std::make_unique<Transfer>(*multi_, std::move(request), std::move(done));
}

const std::string* HttpProbeResult::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace codops::io

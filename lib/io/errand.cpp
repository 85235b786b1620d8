#include "lib/io/errand.hpp"

#include <openssl/crypto.h>

#include <system_error>
#include <thread>

namespace codops::io {

Errand start_errand(EventLoop& loop, std::function<EventLoop::Action()> work) {
  auto wanted = std::make_shared<int>();
  try {
    std::thread{[work = std::move(work), mailbox = loop.mailbox(), wanted = std::weak_ptr<int>{wanted}] {
      mailbox.post([then = work(), wanted] {
        if (const auto alive = wanted.lock()) then();
      });
    }}.detach();
  } catch (const std::system_error&) {
    return nullptr;
  }
  return wanted;
}

void let_errands_outlive_main() { ::OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr); }

}  // namespace codops::io

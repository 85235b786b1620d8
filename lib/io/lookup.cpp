#include "lib/io/lookup.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>
#include <thread>

namespace codops::io {

std::optional<Resolver::Answer> look_up(const std::string& host, const Limits& limits) {
  struct Shared {
    int done{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::mutex mutex;
    Resolver::Answer answer;
    ~Shared() { ::close(done); }
  };
  const auto shared = std::make_shared<Shared>();
  std::thread{[shared, host] {
    auto answer = Resolver::system_lookup(host);
    {
      const std::lock_guard guard{shared->mutex};
      shared->answer = std::move(answer);
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(shared->done, &one, sizeof one);
  }}.detach();
  if (limits.wait(shared->done, POLLIN) == 0) return std::nullopt;
  const std::lock_guard guard{shared->mutex};
  return shared->answer;
}

}  // namespace codops::io

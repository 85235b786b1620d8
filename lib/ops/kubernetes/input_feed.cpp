#include "lib/ops/kubernetes/input_feed.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "lib/base/retry.hpp"
#include "lib/engine/kubernetes/exec.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

// A node may know of a container's end before the API server does.
constexpr Milliseconds end_is_known{5'000};
constexpr Milliseconds until_attached{15'000};

}  // namespace

InputFeed::InputFeed(engine::kubernetes::Api& api, engine::kubernetes::Api::ExecSpec spec, int from, const Limits& limits)
    : api_{api}, spec_{std::move(spec)}, from_{from}, thread_{[this, deadline = limits.deadline] { feed({deadline, stop_.token()}); }} {}

InputFeed::~InputFeed() {
  stop_.cancel(Exit::interrupted);
  if (thread_.joinable()) thread_.join();
}

std::string InputFeed::lost() {
  stop_.cancel(Exit::interrupted);
  if (thread_.joinable()) thread_.join();
  return lost_;
}

bool InputFeed::has_ended(const Limits& limits) {
  const auto pod = api_.find({"v1", "Pod", spec_.namespace_, spec_.pod}, limits);
  if (!pod) return true;
  for (const auto& status : pod->value("/status/containerStatuses"_json_pointer, Json::array())) {
    if (status.value("name", "") == spec_.container) return status.value("state", Json::object()).contains("terminated");
  }
  return false;
}

void InputFeed::feed(const Limits& limits) {
  const auto attaching = limits.within(until_attached);
  Backoff backoff{Milliseconds{100}, Milliseconds{1000}};
  try {
    for (;;) {
      try {
        return carry(limits);
      } catch (const Failure& failure) {
        limits.cancel.check();
        const auto known = limits.within(end_is_known);
        // Who ended without reading all of it has lost nothing.
        do {
          if (has_ended(limits)) return;
        } while (begun_ && backoff.wait(known));
        if (begun_ || !backoff.wait(attaching)) {
          lost_ = failure.message();
          return;
        }
      }
    }
  } catch (const Failure& failure) {
    // Stopped: the command has ended, or its caller gives up.
    if (!limits.cancel.requested()) lost_ = failure.message();
  }
}

void InputFeed::carry(const Limits& limits) {
  engine::kubernetes::ExecSession session{api_, spec_, true, limits};
  std::array<char, 32768> buffer;
  bool open = true;
  for (;;) {
    while (const auto output = session.try_read()) {
      if (output->channel == engine::kubernetes::ExecSession::Output::Channel::end) return;
    }
    const bool sent = session.flush();
    std::array<pollfd, 3> fds{pollfd{open && sent ? from_ : -1, POLLIN, 0}, pollfd{session.fd(), static_cast<short>(sent ? POLLIN : POLLIN | POLLOUT), 0},
                              pollfd{limits.cancel.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), limits.deadline.poll_timeout());
    limits.check("the command's input");
    if (fds[0].revents == 0) continue;
    const auto count = ::read(from_, buffer.data(), buffer.size());
    begun_ = true;
    if (count <= 0) {
      open = false;
      session.end_stdin();
    } else {
      session.write({buffer.data(), static_cast<std::size_t>(count)});
    }
  }
}

}  // namespace codops::ops::kubernetes

#include "lib/ops/interactive.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "lib/engine/docker/api.hpp"
#include "lib/io/duplex.hpp"
#include "lib/ops/raw_terminal.hpp"

namespace codops::ops {
namespace {

void pump(engine::docker::Api& api, const std::string& exec, io::Duplex& stream, const Limits& limits) {
  std::array<char, 16384> buffer;
  TerminalSize known;
  bool typing = true;
  for (;;) {
    if (const auto now = terminal_size(); now != known) {
      known = now;
      if (now.rows != 0) api.resize_exec(exec, now.rows, now.columns, limits);
    }
    while (const auto count = stream.try_read(buffer.data(), buffer.size())) {
      if (*count == 0) return;
      std::size_t done = 0;
      while (done < *count) {
        const auto written = ::write(STDOUT_FILENO, buffer.data() + done, *count - done);
        if (written <= 0) return;
        done += static_cast<std::size_t>(written);
      }
    }
    std::array<pollfd, 3> fds{pollfd{typing ? STDIN_FILENO : -1, POLLIN, 0}, pollfd{stream.fd(), POLLIN, 0}, pollfd{limits.cancel.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), look_at_window_ms);
    limits.check("the command");
    if ((fds[0].revents & (POLLIN | POLLHUP)) == 0) continue;
    const auto count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count <= 0) {
      typing = false;
      stream.end_writing();
    } else {
      stream.write({buffer.data(), static_cast<std::size_t>(count)}, limits);
    }
  }
}

}  // namespace

int exec_on_terminal(Host& host, const std::string& container, const std::vector<std::string>& argv, const std::string& user, const Limits& limits) {
  engine::docker::Api::ExecSpec spec;
  spec.argv = argv;
  spec.user = user;
  spec.tty = true;
  spec.with_stdin = true;
  const auto exec = host.api().create_exec(container, spec, limits);
  const auto stream = host.api().attach_exec(exec, true, limits);
  {
    const RawTerminal raw;
    pump(host.api(), exec, *stream, limits);
  }
  return host.api().exec_exit_code(exec, limits).value_or(0);
}

int run_on_terminal(Host& host, const OneOff& one_off, const Limits& limits) {
  int code = 0;
  with_resting_one_off(host, one_off, limits, [&](const std::string& container) {
    code = exec_on_terminal(host, container, one_off.argv, {}, limits);
  });
  return code;
}

}  // namespace codops::ops

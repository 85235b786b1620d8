#pragma once
// A command in a container over WebSocket, subprotocol v5.channel.k8s.io: the first byte of a message is its channel
// (0 stdin, 1 stdout, 2 stderr, 3 the Status at the end, 4 resize, 255 close of the channel in the next byte).
// Servers before 1.30 speak v4: stdin can't be closed there, and a command that waits for its end is refused.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/engine/kubernetes/api.hpp"

namespace codops::engine::kubernetes {

class ExecSession {
 public:
  ExecSession(Api& api, const Api::ExecSpec& spec, bool with_stdin, const Limits& limits);
  ~ExecSession();

  struct Output {
    enum class Channel { out, err, end } channel{Channel::end};
    std::string_view bytes;  // valid until the next call
  };
  // Never waits; nullopt: nothing is there now. After `end` exit_code() is known.
  std::optional<Output> try_read();
  // Takes all of it; what the connection does not take at once waits for flush(). Write again once that says true.
  void write(std::string_view bytes);
  bool flush();  // never waits; true when nothing is left
  void end_stdin();
  void resize(unsigned rows, unsigned columns);  // of a TTY
  int fd() const;  // for poll(2), after try_read() has answered nullopt
  // Throws Failure when the command could not be run at all.
  int exit_code() const;
  // Of a command that there is not (exit code 127), the runtime's words; else empty.
  const std::string& why_not_started() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What channel 3 said: the exit code; nullopt with a message: not run.
struct ExecResult {
  std::optional<int> exit_code;
  std::string message;
};
// Of a container's runtime: there is no such program.
bool says_no_such_command(std::string_view message);
ExecResult parse_exec_status(std::string_view status);

}  // namespace codops::engine::kubernetes

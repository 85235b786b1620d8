#include "lib/engine/kubernetes/exec.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

constexpr char stdin_channel = 0, stdout_channel = 1, stderr_channel = 2, status_channel = 3, resize_channel = 4;
constexpr char close_channel = static_cast<char>(255);
constexpr const char* protocol_v5 = "v5.channel.k8s.io";
constexpr const char* protocol_v4 = "v4.channel.k8s.io";

}  // namespace

bool says_no_such_command(std::string_view message) {
  return message.find("executable file not found") != std::string_view::npos ||
         (message.find("exec: ") != std::string_view::npos && message.find("no such file or directory") != std::string_view::npos);
}

ExecResult parse_exec_status(std::string_view text) {
  const auto status = json::parse(text, nullptr, false);
  if (text_at(status, {"status"}) == "Success") return {0, {}};
  if (text_at(status, {"reason"}) == "NonZeroExitCode") {
    for (const auto& cause : field(status, {"details", "causes"})) {
      if (text_at(cause, {"reason"}) != "ExitCode") continue;
      const auto code = text_at(cause, {"message"});
      int value = 0;
      const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), value);
      if (error == std::errc{} && end == code.data() + code.size()) return {value, {}};
    }
  }
  const auto message = text_at(status, {"message"});
  if (says_no_such_command(message)) return {127, message};
  return {std::nullopt, message.empty() ? std::string{text.substr(0, 300)} : message};
}

struct ExecSession::State {
  std::string what;
  std::unique_ptr<io::WebSocket> socket;
  std::string message;  // what the last output points into
  std::optional<ExecResult> result;
};

ExecSession::ExecSession(Api& api, const Api::ExecSpec& spec, bool with_stdin, const Limits& limits) : state_{std::make_unique<State>()} {
  const auto* subresource = spec.attach ? "attach" : "exec";
  state_->what = spec.attach ? fmt::format("give input to Pod {}/{}", spec.namespace_, spec.pod)
                             : fmt::format("run \"{}\" in Pod {}/{}", spec.argv.empty() ? "" : spec.argv.front(), spec.namespace_, spec.pod);
  Call call{.path = fmt::format("/api/v1/namespaces/{}/pods/{}/{}", io::percent_encode(spec.namespace_), io::percent_encode(spec.pod), subresource),
            .what = state_->what};
  for (const auto& word : spec.argv) call.query.emplace_back("command", word);
  if (!spec.container.empty()) call.query.emplace_back("container", spec.container);
  call.query.emplace_back("stdin", with_stdin ? "true" : "false");
  call.query.emplace_back("stdout", spec.attach ? "false" : "true");
  // A TTY has one output.
  call.query.emplace_back("stderr", spec.tty || spec.attach ? "false" : "true");
  call.query.emplace_back("tty", spec.tty ? "true" : "false");
  std::vector<std::string> protocols{protocol_v5};
  // v4 has no way to end stdin: a command that reads to its end would never end.
  if (!with_stdin || spec.tty) protocols.emplace_back(protocol_v4);
  try {
    state_->socket = api.client().websocket(call, protocols, limits);
  } catch (ApiError& error) {
    if (error.status() == 403) error.with_hint(fmt::format("it needs \"create\" and \"get\" on pods/{}", subresource));
    throw;
  }
}

ExecSession::~ExecSession() {
  if (state_->socket && !state_->socket->ended()) state_->socket->send_close();
}

std::optional<ExecSession::Output> ExecSession::try_read() {
  auto& state = *state_;
  for (;;) {
    if (state.result) return Output{};
    auto message = state.socket->try_receive();
    if (!message) {
      if (!state.socket->ended()) return std::nullopt;
      throw io::HttpFailure{io::HttpFailure::Kind::reset, 0,
                            fmt::format("{}: the connection ended before the command did{}", state.what,
                                        state.socket->close_reason().empty() ? "" : " (" + state.socket->close_reason() + ")")};
    }
    if (message->empty()) continue;
    state.message = *std::move(message);
    const auto bytes = std::string_view{state.message}.substr(1);
    switch (state.message.front()) {
      case stdout_channel:
        if (!bytes.empty()) return Output{Output::Channel::out, bytes};
        break;
      case stderr_channel:
        if (!bytes.empty()) return Output{Output::Channel::err, bytes};
        break;
      case status_channel:
        if (!bytes.empty()) {
          state.result = parse_exec_status(bytes);
          state.socket->send_close();
        }
        break;
      default: break;  // a close of one channel; channels that are not ours
    }
  }
}

void ExecSession::write(std::string_view bytes) {
  std::string message(1, stdin_channel);
  message += bytes;
  state_->socket->send(message);
}

bool ExecSession::flush() { return state_->socket->flush(); }

void ExecSession::end_stdin() {
  if (state_->socket->protocol() != protocol_v5) return;
  const char message[]{close_channel, stdin_channel};
  state_->socket->send({message, 2});
}

void ExecSession::resize(unsigned rows, unsigned columns) {
  std::string message(1, resize_channel);
  message += json{{"Height", rows}, {"Width", columns}}.dump();
  state_->socket->send(message);
}

int ExecSession::fd() const { return state_->socket->fd(); }

const std::string& ExecSession::why_not_started() const {
  static const std::string started;
  return state_->result ? state_->result->message : started;
}

int ExecSession::exit_code() const {
  if (!state_->result) throw Failure{Exit::bug, "the command has not ended"};
  if (state_->result->exit_code) return *state_->result->exit_code;
  throw Failure{Exit::failed, fmt::format("{}: {}", state_->what, state_->result->message)};
}

}  // namespace codops::engine::kubernetes

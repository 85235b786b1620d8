// Exec, archive and events: the calls that stream.
#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/filters.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/json_lines.hpp"
#include "lib/engine/docker/stream_frames.hpp"
#include "lib/io/crypto.hpp"
#include "lib/target/input.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;

std::string exec_path(const std::string& exec, std::string_view action) {
  return fmt::format("/exec/{}/{}", io::percent_encode(exec), action);
}

std::string archive_path(const std::string& container) {
  return fmt::format("/containers/{}/archive", io::percent_encode(container));
}

// "2026-11-26T23:11:22.123456789+01:00" → 123456789
std::int64_t nanoseconds_of(const std::string& rfc3339) {
  const auto point = rfc3339.find('.');
  if (point == std::string::npos) return 0;
  std::int64_t nanoseconds = 0, unit = 100'000'000;
  for (auto at = point + 1; at < rfc3339.size() && rfc3339[at] >= '0' && rfc3339[at] <= '9'; ++at, unit /= 10) nanoseconds += (rfc3339[at] - '0') * unit;
  return nanoseconds;
}

std::string start_body(bool tty) { return json{{"Detach", false}, {"Tty", tty}}.dump(); }

}  // namespace

std::string Api::create_exec(const std::string& container, const ExecSpec& spec, const Limits& limits) {
  json body{{"AttachStdout", true}, {"AttachStderr", true}, {"AttachStdin", spec.with_stdin},
            {"Tty", spec.tty},      {"Cmd", spec.argv},      {"Privileged", spec.privileged}};
  if (!spec.env.empty()) body["Env"] = spec.env;
  if (!spec.user.empty()) body["User"] = spec.user;
  if (!spec.workdir.empty()) body["WorkingDir"] = spec.workdir;
  const auto answer = client_.call_json(
      {.method = "POST", .path = fmt::format("/containers/{}/exec", io::percent_encode(container)), .body = body.dump()},
      limits);
  return text_at(answer, {"Id"});
}

void Api::start_exec(const std::string& exec, bool tty, const io::ByteSink& out, const io::ByteSink& err,
                     const Limits& limits) {
  StreamFrames frames{out, err};
  Call call{.method = "POST", .path = exec_path(exec, "start"), .body = start_body(tty), .timeout = Milliseconds{0}};
  call.download = [&](std::string_view bytes) {
    if (!tty) return frames.feed(bytes);
    if (out) out(bytes);
  };
  client_.call(call, limits);
}

std::unique_ptr<io::Duplex> Api::attach_exec(const std::string& exec, bool tty, const Limits& limits) {
  return client_.hijack({.method = "POST", .path = exec_path(exec, "start"), .body = start_body(tty)}, limits);
}

std::unique_ptr<io::Duplex> Api::attach_input(const std::string& container, const Limits& limits) {
  return client_.hijack({.method = "POST",
                         .path = fmt::format("/containers/{}/attach", io::percent_encode(container)),
                         .query = {{"stream", "1"}, {"stdin", "1"}, {"stdout", "1"}}},
                        limits);
}

void Api::resize_exec(const std::string& exec, unsigned rows, unsigned columns, const Limits& limits) {
  client_.call({.method = "POST",
                .path = exec_path(exec, "resize"),
                .query = {{"h", fmt::format("{}", rows)}, {"w", fmt::format("{}", columns)}}},
               limits);
}

std::optional<int> Api::exec_exit_code(const std::string& exec, const Limits& limits) {
  const auto answer = client_.call_json({.path = exec_path(exec, "json")}, limits);
  if (flag_at(answer, {"Running"}) || !field(answer, {"ExitCode"}).is_number()) return std::nullopt;
  return static_cast<int>(number_at(answer, {"ExitCode"}));
}

namespace {

// Sends what `in` gives and hands out what comes, whichever is possible, until the peer ends.
void pump(io::Duplex& stream, const io::ByteSource& in, StreamFrames& frames, const Limits& limits) {
  std::array<char, 65536> outgoing, incoming;
  std::string_view pending;
  bool sending = true;
  for (;;) {
    int silent = -1;
    if (sending && pending.empty()) {
      try {
        pending = {outgoing.data(), in(outgoing.data(), outgoing.size())};
        if (pending.empty()) {
          stream.end_writing();
          sending = false;
        }
      } catch (const target::NothingYet& nothing) {
        silent = nothing.fd;
      }
    }
    bool moved = false;
    if (!pending.empty()) {
      try {
        const auto count = stream.try_write(pending);
        pending.remove_prefix(count);
        moved = count > 0;
      } catch (const io::HttpFailure&) {
        // A command that ended without reading all of its input still has output and an exit code.
        sending = false;
        pending = {};
      }
    }
    try {
      while (const auto count = stream.try_read(incoming.data(), incoming.size())) {
        if (*count == 0) return;
        frames.feed({incoming.data(), *count});
        moved = true;
        limits.check("the command");
      }
    } catch (const io::HttpFailure&) {
      // The engine hangs up on input that nobody read any more, behind the last output; the exit code tells whether it was the end.
      return;
    }
    if (!moved) target::wait_for_either(stream.fd(), static_cast<short>(pending.empty() ? POLLIN : POLLIN | POLLOUT), silent, limits);
    limits.check("the command");
  }
}

}  // namespace

int Api::run_exec(const std::string& container, const ExecSpec& spec, const io::ByteSource& in, const io::ByteSink& out,
                  const io::ByteSink& err, const Limits& limits) {
  auto with_input = spec;
  with_input.with_stdin = static_cast<bool>(in);
  const auto exec = create_exec(container, with_input, limits);
  if (spec.before_start) spec.before_start();
  if (in) {
    const auto stream = attach_exec(exec, false, limits);
    StreamFrames frames{out, err};
    pump(*stream, in, frames, limits);
  } else {
    start_exec(exec, false, out, err, limits);
  }
  // The output's end may be seen a moment before the engine has noted the exit code; bounded, as the engine does so
  // right away.
  const auto bounded = limits.within(Milliseconds{10'000});
  for (;;) {
    if (const auto code = exec_exit_code(exec, limits)) return *code;
    limits.within(Milliseconds{5}).wait(-1, 0);
    bounded.check("the command's exit code");
  }
}

void Api::run_attached(const std::string& container, const std::function<void()>& start, const io::ByteSource& in, const io::ByteSink& out,
                       const io::ByteSink& err, const Limits& limits) {
  const auto stream = client_.hijack({.method = "POST",
                                      .path = fmt::format("/containers/{}/attach", io::percent_encode(container)),
                                      .query = {{"stream", "1"}, {"stdin", "1"}, {"stdout", "1"}, {"stderr", "1"}}},
                                     limits);
  start();
  StreamFrames frames{out, err};
  pump(*stream, in, frames, limits);
}

void Api::put_archive(const std::string& container, const std::string& folder, const std::string& tar,
                      const Limits& limits) {
  client_.call({.method = "PUT",
                .path = archive_path(container),
                .query = {{"path", folder}},
                .body = tar,
                .content_type = "application/x-tar",
                .idempotent = true},
               limits);
}

void Api::put_archive(const std::string& container, const std::string& folder, const io::ByteSource& tar,
                      const Limits& limits) {
  constexpr Milliseconds longest_silence{60'000};
  client_.call({.method = "PUT",
                .path = archive_path(container),
                .query = {{"path", folder}},
                .content_type = "application/x-tar",
                .upload = tar,
                .timeout = Milliseconds{0},
                .inactivity = longest_silence},
               limits);
}

bool Api::get_archive(const std::string& container, const std::string& path, const io::ByteSink& tar,
                      const Limits& limits) {
  constexpr Milliseconds longest_silence{60'000};
  const auto response = client_.call({.path = archive_path(container),
                                      .query = {{"path", path}},
                                      .download = tar,
                                      .timeout = Milliseconds{0},
                                      .inactivity = longest_silence,
                                      .expected = {404}},
                                     limits);
  return response.status != 404;
}

std::optional<Api::PathStat> Api::stat_path(const std::string& container, const std::string& path, const Limits& limits) {
  const auto response =
      client_.call({.method = "HEAD", .path = archive_path(container), .query = {{"path", path}}, .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  const auto text = io::from_base64(response.header("x-docker-container-path-stat"));
  const auto value = json::parse(text.value_or(""), nullptr, false);
  return PathStat{text_at(value, {"name"}), static_cast<std::uint64_t>(number_at(value, {"size"})),
                  time_at(value, {"mtime"}), nanoseconds_of(text_at(value, {"mtime"}))};
}

struct EventStream::Lines {
  JsonLines lines;
};

EventStream::EventStream(std::unique_ptr<io::HttpStream> stream)
    : stream_{std::move(stream)}, lines_{std::make_unique<Lines>()} {}
EventStream::~EventStream() = default;

std::optional<EngineEvent> EventStream::next(const Limits& limits) {
  for (;;) {
    if (const auto value = lines_->lines.next()) return engine_event(*value);
    const auto bytes = stream_->read(limits);
    if (bytes.empty()) return std::nullopt;
    lines_->lines.feed(bytes);
  }
}

std::unique_ptr<EventStream> Api::events(const Filters& filters, std::optional<WallTime> since, const Limits& limits) {
  Call call{.path = "/events", .query = filters_query(filters)};
  if (since) {
    const auto count = since->time_since_epoch().count();
    call.query.emplace_back("since", fmt::format("{}.{:09}", count / 1000, count % 1000 * 1'000'000));
  }
  return std::make_unique<EventStream>(client_.open(call, limits));
}

}  // namespace codops::engine::docker

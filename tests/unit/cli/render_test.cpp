#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/app.hpp"
#include "cli/render/columns.hpp"
#include "cli/render/display.hpp"
#include "cli/render/lines.hpp"
#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::cli;
using namespace codops::cli::render;

namespace {

Event event(Event::Kind kind, std::string step, std::string text, std::optional<Milliseconds> elapsed = {}) {
  return {kind, std::move(step), std::move(text), {}, elapsed, {}, {}};
}

class ManualClock final : public Clock {
 public:
  WallTime now() const override { return *parse_rfc3339("2026-11-23T10:15:00Z") + passed; }
  std::chrono::steady_clock::time_point steady() const override { return std::chrono::steady_clock::time_point{passed}; }
  Milliseconds since_boot() const override { return passed; }
  Milliseconds passed{};
};

// A stream into memory.
class Memory {
 public:
  Memory() : fd_{::memfd_create("test", 0)}, stream{fd_} {}
  ~Memory() { ::close(fd_); }
  std::string text() const {
    std::string all(static_cast<std::size_t>(::lseek(fd_, 0, SEEK_END)), '\0');
    CHECK(::pread(fd_, all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()));
    return all;
  }

 private:
  int fd_;

 public:
  Stream stream;
};

}  // namespace

TEST_CASE("text is measured in columns") {
  CHECK(columns("backend ×3 · ✓") == 14);
  CHECK(columns("日本") == 4);
  CHECK(columns("e\xCC\x81") == 1);
  CHECK(columns("\xFF\xFE") == 2);
  CHECK(fitted("backend 2/3 healthy", 9) == "backend …");
  CHECK(fitted("日本語", 4) == "日…");
  CHECK(fitted("abc", 3) == "abc");
  CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrapped("abcdefgh", 3) == std::vector<std::string>{"abc", "def", "gh"});
  CHECK(wrapped("", 7) == std::vector<std::string>{""});
}

TEST_CASE("evidence can't steer the terminal") {
  CHECK(clean("a\x1b[31mred\x1b[0m\tb\x1b]c\r") == "ared bc ");
  CHECK(clean("\xC2\x9B" "31m") == "31m");
}

TEST_CASE("finished steps line up and their times stand at the right") {
  const Look look;
  CHECK(event_lines(event(Event::Kind::done, "preflight", "engine 28.5, 41 GB free", Milliseconds{300}), look) ==
        std::vector<std::string>{"  ✓ preflight   engine 28.5, 41 GB free                                          0.3 s"});
  CHECK(event_lines(event(Event::Kind::done, "migrate", "2 applied", Milliseconds{65'000}), look) ==
        std::vector<std::string>{"  ✓ migrate     2 applied                                                    1 min 5 s"});
  CHECK(event_lines(event(Event::Kind::skipped, "backup", "one is fresh"), look) ==
        std::vector<std::string>{"  – backup      one is fresh"});
  CHECK(event_lines(event(Event::Kind::started, "pull", ""), look) == std::vector<std::string>{"  … pull"});
  CHECK(event_lines(event(Event::Kind::warning, "", "disk is low"), Look{100, true, true}) ==
        std::vector<std::string>{"  \x1b[33m!\x1b[0m disk is low"});
}

TEST_CASE("long text is wrapped below itself, details are cut") {
  auto failed = event(Event::Kind::failed, "start", "backend exited with 1 after 2.1 s and said nothing more about it");
  failed.details = {"Error: getaddrinfo ENOTFOUND cache and a very long tail of words"};
  CHECK(event_lines(failed, Look{50, false, false}) == std::vector<std::string>{
                                                           "  x start       backend exited with 1 after 2.1 s",
                                                           "                and said nothing more about it",
                                                           "    | Error: getaddrinfo ENOTFOUND cache and a ve…",
                                                       });
}

TEST_CASE("a live line is exactly one line, however narrow") {
  for (const std::size_t width : {20U, 40U, 80U, 200U}) {
    auto step = event(Event::Kind::progress, "start", "backend 2/3 healthy · 1 starting (4.1 s of 60 s)");
    step.current = 54;
    step.total = 108;
    const auto lines = live_lines(step, Milliseconds{4100}, 2, Look{width, false, true});
    REQUIRE(lines.size() == 1);
    CHECK(columns(lines[0]) <= width);
    CHECK(lines[0].starts_with("  ⠹ start"));
  }
  CHECK(bar(54, 108, Look{}).ends_with(" 50 %"));
  CHECK(columns(bar(0, 0, Look{})) == 26);
}

TEST_CASE("plain: each line once, with its time; progress no oftener than each five seconds") {
  Memory memory;
  ManualClock clock;
  const auto display = make_plain(memory.stream, clock, false, true, 0);
  display->report(event(Event::Kind::started, "start", "backend ×3"));
  display->report(event(Event::Kind::progress, "start", "1/3"));
  clock.passed = Milliseconds{6000};
  display->report(event(Event::Kind::progress, "start", "2/3"));
  display->report(event(Event::Kind::progress, "start", "2/3"));
  display->report(event(Event::Kind::done, "start", "3/3"));
  CHECK(memory.text() ==
        "2026-11-23T10:15:00Z  … start       backend ×3\n"
        "2026-11-23T10:15:06Z  … start       2/3\n"
        "2026-11-23T10:15:06Z  ✓ start       3/3\n");
}

TEST_CASE("json: one object a line, whatever bytes the evidence has") {
  auto failed = event(Event::Kind::failed, "start", "bad \xFF", Milliseconds{1500});
  failed.details = {"x"};
  const auto object = nlohmann::json::parse(event_json(failed, *parse_rfc3339("2026-11-23T10:15:00Z")));
  CHECK(object["event"] == "failed");
  CHECK(object["seconds"] == 1.5);
  CHECK(object["time"] == "2026-11-23T10:15:00.000Z");
  CHECK(object["details"][0] == "x");
}

TEST_CASE("tty: live lines go up over themselves and end without a trace; hiding erases them") {
  Memory memory;
  ManualClock clock;
  {
    const auto display = make_tty(memory.stream, clock, false, true);
    display->report(event(Event::Kind::started, "pull", "backend"));
    display->hide();
    CHECK(memory.text().ends_with("\x1b[1A\r\x1b[J"));
    display->show();
    display->report(event(Event::Kind::done, "pull", "3 images"));
  }
  const auto text = memory.text();
  CHECK(text.find("  ✓ pull        3 images") != std::string::npos);
  CHECK(text.find("0.0 s\x1b[K\n\x1b[J") != std::string::npos);
}

TEST_CASE("tty: a narrow and low terminal is never overrun") {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(terminal >= 0);
  REQUIRE((::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0));
  const int slave = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(slave >= 0);
  const winsize size{5, 40, 0, 0};
  REQUIRE(::ioctl(slave, TIOCSWINSZ, &size) == 0);
  Stream stream{slave};
  ManualClock clock;
  const auto display = make_tty(stream, clock, true, true);
  for (const auto* step : {"one", "two", "three", "four", "five"}) {
    display->report(event(Event::Kind::started, step, "a text that is wider than forty columns by far"));
  }
  display->hide();
  // The kernel hands the other side's bytes over in pieces; hiding wrote the last of them.
  std::string text;
  pollfd readable{terminal, POLLIN, 0};
  while (!text.ends_with("\x1b[3A\r\x1b[J") && ::poll(&readable, 1, 10'000) > 0) {
    char piece[4096];
    const auto count = ::read(terminal, piece, sizeof piece);
    if (count <= 0) break;
    text.append(piece, static_cast<std::size_t>(count));
  }
  CHECK(text.find("    and 3 more") != std::string::npos);
  CHECK(text.find("\x1b[4A") == std::string::npos);
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find("\r\n", start), text.size());
    auto line = clean(text.substr(start, end - start));
    // A frame begins with a carriage return, which `clean` made a space.
    if (line.starts_with("   ")) line.erase(0, 1);
    CAPTURE(line);
    CHECK(columns(line) <= 40);
    start = end + 2;
  }
  ::close(terminal);
  ::close(slave);
}

TEST_CASE("a failure's text: continued under its first word, own places kept, the code last") {
  const Failure failure{Exit::failed, "deploy failed at step 3:\nbackend exited with 1\n  │ Error: x\n  unchanged   v1", "fix REDIS_URL"};
  CHECK(failure_text(failure, false) ==
        "error: deploy failed at step 3:\n"
        "       backend exited with 1\n"
        "  │ Error: x\n"
        "  unchanged   v1\n"
        "hint: fix REDIS_URL\n"
        "exit 1\n");
  const auto object = nlohmann::json::parse(failure_json({Exit::config, "bad \xFF", ""}));
  CHECK(object["exit"] == 78);
  CHECK_FALSE(object.contains("hint"));
}

TEST_CASE("nobody reading is no error, a full disk is") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  Stream closed{ends[1]};
  // The test's own SIGPIPE must not end it.
  ::signal(SIGPIPE, SIG_IGN);
  CHECK_FALSE(closed.write("x"));
  CHECK(closed.is_closed());
  ::close(ends[1]);

  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  Stream disk{full};
  CHECK_THROWS_AS((void)disk.write("x"), Failure);
  Stream words{full, Stream::Unwritable::is_dropped};
  CHECK(words.write("x"));
  ::close(full);
}

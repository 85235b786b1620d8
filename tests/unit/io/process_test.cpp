#include "lib/io/process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "lib/base/retry.hpp"
#include "lib/io/files.hpp"

using namespace codops;
using io::Program;

namespace {

Program sh(std::string script) { return {{"/bin/sh", "-c", std::move(script)}, {}, {}}; }

struct Ran {
  io::Outcome outcome;
  std::string out;
};
Ran run(const Program& program, const io::Source& in = {}) {
  Ran ran;
  ran.outcome = io::run(program, {in, [&](std::string_view bytes) { ran.out += bytes; }, {}}, Limits{});
  return ran;
}

}  // namespace

TEST_CASE("a child's output, exit status and last words are seen") {
  const auto ran = run(sh("echo out; echo err >&2; exit 3"));
  CHECK(ran.out == "out\n");
  CHECK(ran.outcome.error_tail == "err");
  CHECK(ran.outcome.status.code == 3);
  CHECK_FALSE(ran.outcome.status.success());
  CHECK(run(sh("kill -9 $$")).outcome.status.signal == SIGKILL);
  CHECK(run(sh("kill -9 $$")).outcome.status.text() == "was killed by signal 9 (Killed)");
}

TEST_CASE("megabytes pass through a child in both directions at once") {
  std::size_t left = 5'000'000;
  const auto ran = run({{"cat"}, {}, {}}, [&](char* into, std::size_t size) {
    const auto count = std::min(size, left);
    std::fill_n(into, count, 'x');
    left -= count;
    return count;
  });
  CHECK(ran.out.size() == 5'000'000);
  CHECK(ran.outcome.status.success());
}

TEST_CASE("a child that stops reading does not kill us") {
  const auto ran = run(sh("exec <&-; sleep 0.05; exit 4"), [](char* into, std::size_t size) {
    std::fill_n(into, size, 'x');
    return size;
  });
  CHECK(ran.outcome.status.code == 4);
}

TEST_CASE("the environment is exactly what was asked for, and PATH") {
  ::setenv("CODOPS_TEST_CANARY", "canary", 1);
  auto program = Program{{"env"}, {{"A", "1"}}, {{"B", Secret{"2"}}}};
  auto out = run(program).out;
  CHECK(out.find("canary") == std::string::npos);
  CHECK(out.find("A=1\n") != std::string::npos);
  CHECK(out.find("B=2\n") != std::string::npos);
  CHECK(out.find("PATH=/") != std::string::npos);
  ::unsetenv("CODOPS_TEST_CANARY");
}

TEST_CASE("programs are found without a PATH, and never in a relative folder") {
  const std::string before = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  ::unsetenv("PATH");
  CHECK(io::find_program("ls").has_value());
  const io::TemporaryFolder folder;
  io::write_file(folder.path() / "evil-ls", "#!/bin/sh\n", 0755);
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  ::setenv("PATH", ".::", 1);
  CHECK_FALSE(io::find_program("evil-ls").has_value());
  std::filesystem::current_path(here);
  ::setenv("PATH", before.c_str(), 1);
  try {
    run({{"no-such-program-here"}, {}, {}});
    FAIL("it ran");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::unavailable);
  }
}

TEST_CASE("only the descriptors that were passed arrive") {
  const auto secret = io::memory_file("s3cret");
  auto other = io::make_pipe();
  const int stray = ::dup(other.read.get());  // without close-on-exec
  auto program = sh("cat /proc/self/fd/9; ls /proc/self/fd | tr '\\n' ' '");
  program.pass = {{secret.get(), 9}};
  const auto ran = run(program);
  ::close(stray);
  // 3 is ls's own handle on the folder.
  CHECK(ran.out == "s3cret0 1 2 3 9 ");
}

TEST_CASE("passed descriptors may take each other's numbers") {
  const auto a = io::memory_file("a"), b = io::memory_file("b");
  auto program = sh("cat <&4; cat <&3");
  const int low = ::fcntl(a.get(), F_DUPFD_CLOEXEC, 3);
  program.pass = {{a.get(), 4}, {b.get(), 3}};
  CHECK(run(program).out == "ab");
  ::close(low);
}

TEST_CASE("cancellation and deadlines stop the whole process group") {
  const io::TemporaryFolder folder;
  const auto mark = (folder.path() / "pid").string();
  auto program = sh("sleep 1000 & echo $! > " + mark + "; echo ready; trap '' TERM; wait; sleep 1000");
  program.grace = Milliseconds{100};
  CancelSource source;
  std::string out;
  Exit code{};
  try {
    io::run(program, {{}, [&](std::string_view) { source.cancel(Exit::interrupted); }, {}},
            Limits{Deadline::after(Milliseconds{20000}), source.token()});
  } catch (const Failure& failure) {
    code = failure.code();
  }
  CHECK(code == Exit::interrupted);
  const int grandchild = std::stoi(io::read_file(mark));
  // Dead, or a zombie that init has yet to reap; SIGKILL takes effect a moment later.
  const auto gone = [&] {
    const auto stat = io::read_file_if_there("/proc/" + std::to_string(grandchild) + "/stat");
    return !stat || stat->find(") Z") != std::string::npos;
  };
  Backoff backoff{Milliseconds{5}, Milliseconds{50}};
  const auto limits = Limits{}.within(Milliseconds{5000});
  while (!gone() && backoff.wait(limits)) {
  }
  CHECK(gone());

  try {
    io::run(sh("sleep 1000"), {}, Limits{}.within(Milliseconds{30}));
    FAIL("it ended");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::deadline);
  }
}

TEST_CASE("a throwing sink stops the child and the exception goes on") {
  CHECK_THROWS_WITH_AS(io::run(sh("yes"), {{}, [](std::string_view) { throw Failure{Exit::data, "enough"}; }, {}}, Limits{}),
                       "enough", Failure);
}

TEST_CASE("output of a child that left a grandchild with our pipe ends in bounded time") {
  const auto ran = run(sh("sleep 1000 & echo done"));
  CHECK(ran.out == "done\n");
  CHECK(ran.outcome.status.success());
}

TEST_CASE("capture wants exit 0 and bounded output") {
  CHECK(io::capture({{"echo", "a b", "$HOME"}, {}, {}}, Limits{}) == "a b $HOME\n");
  CHECK_THROWS_AS(io::capture(sh("echo x; exit 1"), Limits{}), Failure);
  CHECK_THROWS_AS(io::capture({{"yes"}, {}, {}}, Limits{}, 1000), Failure);
}

namespace {

// Its number is written to `file`, by a process in a session of its own; whether that one still runs.
std::string leaves_behind(const std::filesystem::path& file) { return "setsid sh -c 'echo $$ >" + file.string() + ".new; mv " + file.string() + ".new " + file.string() + "; exec sleep 1000' & "; }

std::optional<pid_t> number_in(const std::filesystem::path& file) {
  const auto text = io::read_file_if_there(file);
  return text ? std::optional{static_cast<pid_t>(std::atoi(text->c_str()))} : std::nullopt;
}

bool comes_true(const std::function<bool()>& what) {
  for (const auto until = Deadline::after(Milliseconds{20'000}); !until.expired(); Limits{}.within(Milliseconds{10}).wait(-1, 0)) {
    if (what()) return true;
  }
  return false;
}

bool gone(pid_t number) { return ::kill(number, 0) != 0; }

struct TestFolder {
  std::filesystem::path path;
  TestFolder() {
    std::string name = std::filesystem::temp_directory_path() / "codops-guard-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("a guarded program ends as it ended, and what it said is seen") {
  auto program = sh("echo out; echo err >&2; exit 3");
  program.guarded = true;
  const auto ran = run(program);
  CHECK(ran.out == "out\n");
  CHECK(ran.outcome.error_tail == "err");
  CHECK(ran.outcome.status.code == 3);
  program = sh("kill -9 $$");
  program.guarded = true;
  CHECK(run(program).outcome.status.signal == SIGKILL);
  program = {{"/nonexistent/program"}, {}, {}};
  program.guarded = true;
  CHECK_THROWS_AS(run(program), Failure);
}

TEST_CASE("nothing of a guarded program outlives its time, in whatever session, whatever signal it ignores") {
  const TestFolder folder;
  auto program = sh(leaves_behind(folder.path / "left") + "trap '' TERM; sleep 1000; sleep 1000");
  program.guarded = true;
  program.grace = Milliseconds{200};
  CancelSource stop;
  std::thread stopper{[&] {
    comes_true([&] { return number_in(folder.path / "left").has_value(); });
    stop.cancel(Exit::terminated);
  }};
  CHECK_THROWS_AS(io::run(program, {}, {Deadline::never(), stop.token()}), Failure);
  stopper.join();
  const auto left = number_in(folder.path / "left");
  REQUIRE(left);
  CHECK(gone(*left));
}

TEST_CASE("what is to leave nothing leaves nothing, in whatever session, once it has ended by itself") {
  const TestFolder folder;
  const auto file = (folder.path / "left").string();
  auto program = sh(leaves_behind(folder.path / "left") + "while ! test -e " + file + "; do sleep 0.01; done; echo done; exit 3");
  program.guarded = true;
  program.grace = Milliseconds{0};
  const auto ran = run(program);
  CHECK(ran.out == "done\n");
  CHECK(ran.outcome.status.code == 3);
  REQUIRE(number_in(folder.path / "left"));
  CHECK(gone(*number_in(folder.path / "left")));
}

TEST_CASE("nothing of a guarded program outlives codops, killed without a warning") {
  const TestFolder folder;
  const auto codops = ::fork();
  REQUIRE(codops >= 0);
  if (codops == 0) {
    auto program = sh(leaves_behind(folder.path / "left") + "sleep 1000; sleep 1000");
    program.guarded = true;
    try {
      io::run(program, {}, Limits{});
    } catch (...) {
    }
    ::_exit(1);
  }
  REQUIRE(comes_true([&] { return number_in(folder.path / "left").has_value(); }));
  const auto left = *number_in(folder.path / "left");
  CHECK_FALSE(gone(left));
  ::kill(codops, SIGKILL);
  ::waitpid(codops, nullptr, 0);
  CHECK(comes_true([&] { return gone(left); }));
}

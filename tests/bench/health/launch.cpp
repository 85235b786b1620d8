// launch EXIT COMMAND…: runs it and prints wall time in ms, largest resident size in MB, processor time in ms; exits 1 when the command
// did not exit with EXIT. Small, because a child's largest size is never less than that of who started it.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const auto start = std::chrono::steady_clock::now();
  pid_t child{};
  if (::posix_spawnp(&child, argv[2], &quiet, nullptr, argv + 2, environ) != 0) return 69;
  int status{};
  rusage used{};
  ::wait4(child, &status, 0, &used);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  const auto ms = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3; };
  std::printf("%.2f %.1f %.2f\n", took.count(), static_cast<double>(used.ru_maxrss) / 1024, ms(used.ru_utime) + ms(used.ru_stime));
  return WIFEXITED(status) && WEXITSTATUS(status) == std::atoi(argv[1]) ? 0 : 1;
}

#include "tests/integration/compose/oracle.hpp"
#include "tests/support/source_dir.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

extern char** environ;

namespace codops::tests {

namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> made;
  for (auto& word : words) made.push_back(word.data());
  made.push_back(nullptr);
  return made;
}

void drain(std::array<int, 2> pipes, Ran& ran) {
  std::array<pollfd, 2> waiting{pollfd{pipes[0], POLLIN, 0}, pollfd{pipes[1], POLLIN, 0}};
  std::array<std::string*, 2> into{&ran.out, &ran.err};
  int open = 2;
  while (open > 0) {
    if (poll(waiting.data(), waiting.size(), 60'000) <= 0) throw std::runtime_error{"a child gave no output for 60 s"};
    for (std::size_t index = 0; index < 2; ++index) {
      if (waiting[index].revents == 0) continue;
      std::array<char, 16384> buffer{};
      const auto got = read(waiting[index].fd, buffer.data(), buffer.size());
      if (got > 0) {
        into[index]->append(buffer.data(), static_cast<std::size_t>(got));
      } else {
        close(waiting[index].fd);
        waiting[index].fd = -1;
        --open;
      }
    }
  }
}

}  // namespace

Ran run(const std::vector<std::string>& argv, const std::string& folder,
        const std::map<std::string, std::string>& environment) {
  auto words = argv;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  auto arguments = pointers(words);
  auto passed = pointers(variables);
  std::array<int, 2> out{}, err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) throw std::runtime_error{"pipe2"};
  const auto child = fork();
  if (child == 0) {
    dup2(out[1], 1);
    dup2(err[1], 2);
    if (chdir(folder.c_str()) == 0) execve(arguments[0], arguments.data(), passed.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  Ran ran;
  drain({out[0], err[0]}, ran);
  int status = 0;
  waitpid(child, &status, 0);
  ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

std::optional<std::string> docker_compose(std::string& why) {
  if (const char* given = std::getenv("CODOPS_DOCKER_COMPOSE")) return given;
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text{*entry};
    all[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  }
  auto ran = run({"/bin/sh", codops::tests::source_dir() + "/tests/support/compose.sh"}, "/", all);
  if (ran.exit != 0) {
    why = ran.err;
    return std::nullopt;
  }
  ran.out.erase(ran.out.find_last_not_of('\n') + 1);
  return ran.out;
}

}  // namespace codops::tests

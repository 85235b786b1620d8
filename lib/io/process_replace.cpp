#include "lib/io/process_replace.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/process.hpp"

namespace codops::io {

void replace_process(const std::vector<std::string>& argv, mode_t umask, const std::map<std::string, Secret>& variables) {
  const auto program = argv.empty() ? std::nullopt : find_program(argv.front());
  if (!program) {
    throw Failure{Exit::usage, "the command \"" + (argv.empty() ? std::string{} : argv.front()) + "\" is not found", "check its spelling and PATH"};
  }
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  // Handlers go with exec; what is ignored or blocked would stay.
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(umask);
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.reveal().c_str(), 1);
  ::execv(program->c_str(), words.data());
  throw Failure{Exit::unavailable, "\"" + argv.front() + "\" cannot be run: " + std::strerror(errno), "check its permissions"};
}

}  // namespace codops::io

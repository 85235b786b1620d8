#include "lib/io/process_replace.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/process.hpp"

namespace codops::io {

void replace_process(const std::vector<std::string>& argv, const Inherited& inherited, const std::map<std::string, Secret>& variables) {
  const auto program = argv.empty() ? std::nullopt : find_program(argv.front());
  if (!program) {
    // What is there and no program is no misspelling.
    if (!argv.empty() && argv.front().find('/') != std::string::npos && ::access(argv.front().c_str(), F_OK) == 0) {
      struct stat status {};
      const bool folder = ::stat(argv.front().c_str(), &status) == 0 && S_ISDIR(status.st_mode);
      throw Failure{Exit::usage, "the command \"" + argv.front() + "\" is " + (folder ? "a folder" : "no program: it is not executable"),
                    folder ? "name the program in it" : "chmod +x " + argv.front() + ", or put its interpreter before it: -- sh " + argv.front()};
    }
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
  ::umask(inherited.umask);
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  core.rlim_cur = std::min(inherited.core, core.rlim_max);
  ::setrlimit(RLIMIT_CORE, &core);
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.reveal().c_str(), 1);
  ::execv(program->c_str(), words.data());
  throw Failure{Exit::unavailable, "\"" + argv.front() + "\" cannot be run: " + std::strerror(errno), "check its permissions"};
}

}  // namespace codops::io

// Where codops starts. Nothing else in the program ends the process, but for a second signal.
#include <unistd.h>

#include "cli/app.hpp"
#include "cli/signals.hpp"
#include "commands/command.hpp"
#include "lib/io/errand.hpp"
#include "lib/io/postgres_environment.hpp"

namespace {

std::map<std::string, std::string> environment_variables() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    if (const auto equals = text.find('='); equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

}  // namespace

int main(int argc, char** argv) {
  codops::cli::fill_standard_descriptors();
  const auto before = codops::cli::harden_process();
  codops::CancelSource cancel;
  const codops::cli::Signals signals{cancel};
  codops::cli::Stream out{STDOUT_FILENO}, err{STDERR_FILENO, codops::cli::Stream::Unwritable::is_dropped};
  const codops::cli::Process process{{argv + (argc > 0 ? 1 : 0), argv + argc}, environment_variables(), before.umask, before.core,
                                     cancel.token()};
  // What is in `process` has them still.
  codops::io::postgres::take_environment();
  codops::io::let_errands_outlive_main();
  return codops::cli::run(process, codops::commands::verbs(), out, err);
}

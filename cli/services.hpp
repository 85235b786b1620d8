#pragma once
// The composition root: the one place that knows which real object stands behind each interface.
#include <memory>

#include "cli/render/display.hpp"
#include "cli/terminal.hpp"
#include "commands/services.hpp"

namespace codops::cli {

struct ServicesOptions {
  commands::GlobalOptions options;
  Variables look;                                // of the environment, for colours and live lines
  std::map<std::string, std::string> variables;  // the whole environment
  std::vector<std::string> reserved;             // words that no environment may be called
  Limits limits;
  bool unicode{true};
};

// Standard streams must outlive it.
std::unique_ptr<commands::Services> make_services(ServicesOptions options, Stream& out, Stream& err);

}  // namespace codops::cli

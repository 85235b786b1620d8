#include "cli/services.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/failure.hpp"

namespace codops::cli {
namespace {

namespace fs = std::filesystem;
using commands::GlobalOptions;
using commands::Output;
using commands::Progress;

class RealServices final : public commands::Services {
 public:
  RealServices(ServicesOptions options, Stream& out, Stream& err)
      : given_{std::move(options)}, out_{out}, err_{err}, terminal_{describe_terminal(given_.options, given_.look)} {}

  const GlobalOptions& options() const override { return given_.options; }
  Limits limits() const override { return given_.limits; }
  const Clock& clock() const override { return clock_; }
  const commands::Terminal& terminal() const override { return terminal_; }
  Reporter& reporter() override { return display(); }

  std::optional<std::string> variable(std::string_view name) const override {
    const auto found = given_.variables.find(std::string{name});
    return found == given_.variables.end() ? std::nullopt : std::optional{found->second};
  }

  const settings::Project& project() override {
    loaded().require_valid();
    return loaded().project();
  }

  settings::Environment environment(std::string_view name) override { return loaded().environment(name); }

  const settings::Sources& settings_sources() override {
    if (!sources_) sources_ = find_sources();
    return *sources_;
  }

  bool confirm(const std::string& question) override {
    if (given_.options.yes) return true;
    if (!terminal_.in || !terminal_.err) {
      throw Failure{Exit::usage, fmt::format("\"{}\" needs an answer, and there is no terminal to ask on", question),
                    "add --yes"};
    }
    display().hide();
    err_.write(fmt::format("{} [y/N] ", question));
    const bool yes = answer() == "y";
    display().show();
    return yes;
  }

  bool write(std::string_view text) override {
    if (!display_ || !terminal_.out) return out_.write(text);
    display_->hide();
    const bool read = out_.write(text);
    display_->show();
    return read;
  }

  // The engine and what stands on it: members made on first use, like display_ and settings_ below.

 private:
  settings::Sources find_sources() const {
    std::error_code error;
    auto here = fs::current_path(error);
    const auto& options = given_.options;
    const auto is_absolute = [](const std::string& path) { return fs::path{path}.is_absolute(); };
    const bool needs_here = options.project_dir.empty() ? !is_absolute(options.config) : !is_absolute(options.project_dir) || (!options.config.empty() && !is_absolute(options.config));
    if (error && needs_here) throw Failure{Exit::config, "the current directory is gone", "cd to the project, or name it from the root on: --project-dir /srv/shop"};
    settings::Sources sources;
    if (!options.config.empty()) sources.file = (here / options.config).lexically_normal();
    if (!options.project_dir.empty()) {
      sources.directory = fs::canonical(here / options.project_dir, error);
      if (error || !fs::is_directory(sources.directory)) {
        throw Failure{Exit::usage, fmt::format("--project-dir \"{}\" is no directory", options.project_dir)};
      }
    } else if (!sources.file.empty()) {
      sources.directory = sources.file.parent_path();
    } else {
      sources.directory = settings::find_project(here);
    }
    sources.variables = given_.variables;
    sources.set = options.set;
    sources.reserved = given_.reserved;
    return sources;
  }

  const settings::Settings& loaded() {
    if (!settings_) {
      settings_ = settings::Settings::load(settings_sources());
      for (const auto& warning : settings_->warnings()) reporter().warn(describe(warning));
    }
    return *settings_;
  }

  render::Display& display() {
    if (!display_) display_ = make_display();
    return *display_;
  }

  std::unique_ptr<render::Display> make_display() {
    auto progress = given_.options.progress;
    if (progress == Progress::automatic) {
      progress = terminal_.err && !given_.look.dumb && !given_.look.ci ? Progress::tty : Progress::plain;
    }
    const bool color = may_color(err_.fd(), given_.options.color, given_.look);
    switch (progress) {
      case Progress::tty: return render::make_tty(err_, clock_, color, given_.unicode);
      case Progress::json: return render::make_json(err_, clock_);
      case Progress::none: return render::make_silent();
      default: return render::make_plain(err_, clock_, color, given_.unicode, given_.options.verbosity);
    }
  }

  // The first letter of a line, in lower case; cancellation and the deadline end the wait.
  std::string answer() {
    std::string line;
    for (;;) {
      if (given_.limits.wait(STDIN_FILENO, POLLIN) == 0) given_.limits.check("the answer");
      char c{};
      const auto count = ::read(STDIN_FILENO, &c, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0 || c == '\n') break;
      if (c != ' ') line += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return line == "yes" ? "y" : line;
  }

  ServicesOptions given_;
  Stream& out_;
  Stream& err_;
  SystemClock clock_;
  commands::Terminal terminal_;
  std::optional<settings::Sources> sources_;
  std::optional<settings::Settings> settings_;
  std::unique_ptr<render::Display> display_;
};

}  // namespace

std::unique_ptr<commands::Services> make_services(ServicesOptions options, Stream& out, Stream& err) {
  return std::make_unique<RealServices>(std::move(options), out, err);
}

}  // namespace codops::cli

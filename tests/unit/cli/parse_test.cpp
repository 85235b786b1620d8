#include "cli/parse.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::cli;
using namespace codops::commands;

namespace {

struct Deploy : Command {
  std::string environment;
  std::vector<std::string> versions;
  std::optional<std::string> to;
  std::vector<std::string> labels;
  std::optional<std::int64_t> tail;
  std::optional<Milliseconds> wait;
  std::optional<std::string> mode;
  bool force{};
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment, "the environment");
    parameters.positionals("VERSION", versions, "what to deploy");
    parameters.option("--to", "VERSION", to, "where to");
    parameters.options("--label", "NAME", labels, "labels");
    parameters.number("-n,--tail", "N", tail, "lines");
    parameters.duration("--wait", wait, "how long");
    parameters.choice("--mode", {"fast", "slow"}, mode, "how");
    parameters.flag("--force", force, "anyway");
    parameters.formats({"junit"});
  }
  Result run(Services&) override { return {}; }
};

struct Exec : Command {
  std::string environment;
  std::vector<std::string> words;
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment, "the environment");
    parameters.rest("COMMAND", words, "the command");
  }
  Result run(Services&) override { return {}; }
};

const std::vector<Verb> table{
    {"deploy", "Releases", "deploys", {}, make_command<Deploy>},
    {"exec", "Releases", "runs a command", {}, make_command<Exec>},
    {"backup", "Data", "backs up", {}, make_command<Deploy>},
    {"backup list", "Data", "lists", {}, make_command<Exec>},
    {"config show", "Settings", "shows", {}, make_command<Exec>},
};

Invocation read(const std::vector<std::string>& words) { return parse(words, table); }

template <typename T>
const T& command(const Invocation& invocation) {
  return dynamic_cast<const T&>(*invocation.command);
}

// "message | hint"
std::string refusal(const std::vector<std::string>& words) {
  try {
    (void)read(words);
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::usage);
    return failure.message() + " | " + failure.hint();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("arguments reach the verb's own fields") {
  const auto invocation = read({"deploy", "production", "a=1", "b=2", "--to=v1", "--label", "x", "--label", "y", "-n5",
                                "--wait", "90s", "--mode", "fast", "--force"});
  const auto& deploy = command<Deploy>(invocation);
  CHECK(invocation.path == "deploy");
  CHECK(deploy.environment == "production");
  CHECK(deploy.versions == std::vector<std::string>{"a=1", "b=2"});
  CHECK(deploy.to == "v1");
  CHECK(deploy.labels == std::vector<std::string>{"x", "y"});
  CHECK(deploy.tail == 5);
  CHECK(deploy.wait == std::chrono::seconds{90});
  CHECK(deploy.mode == "fast");
  CHECK(deploy.force);
}

TEST_CASE("options between positionals do not swallow them") {
  const auto invocation = read({"deploy", "--label", "x", "production", "--to", "v1", "v2"});
  const auto& deploy = command<Deploy>(invocation);
  CHECK(deploy.environment == "production");
  CHECK(deploy.versions == std::vector<std::string>{"v2"});
  CHECK(deploy.labels == std::vector<std::string>{"x"});
}

TEST_CASE("global options stand before or after the verb") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"-o", "json", "--yes", "-vv", "--timeout", "5m", "-C", "/x", "deploy", "production"},
           {"deploy", "production", "-o", "json", "--yes", "-v", "-v", "--timeout", "5m", "-C", "/x"},
           {"deploy", "-o", "json", "production", "-yvv", "--timeout=5m", "--project-dir", "/x"}}) {
    const auto invocation = read(words);
    CHECK(invocation.options.output == Output::json);
    CHECK(invocation.options.yes);
    CHECK(invocation.options.verbosity == 2);
    CHECK(invocation.options.timeout == std::chrono::minutes{5});
    CHECK(invocation.options.project_dir == "/x");
  }
}

TEST_CASE("sub-verbs, and a verb that has both") {
  CHECK(read({"backup", "production"}).path == "backup");
  CHECK(read({"backup", "list", "production"}).path == "backup list");
  CHECK(read({"config", "show", "production"}).path == "config show");
  CHECK(refusal({"config"}) == "config is followed by show | codops config --help");
  CHECK(refusal({"config", "shw"}) == "unexpected \"shw\" after config | did you mean \"codops config show\"?");
  CHECK(refusal({"backup", "--force", "list", "production"}) ==
        "\"--force\" does not belong to backup list | codops backup list --help");
  CHECK(refusal({"backup", "production", "list"}) != "accepted");
}

TEST_CASE("a name that is also a verb is only a name after the verb") {
  CHECK(command<Deploy>(read({"deploy", "exec", "config"})).versions == std::vector<std::string>{"config"});
}

TEST_CASE("what follows -- is the command's own") {
  const auto invocation = read({"exec", "production", "--", "ls", "-la", "--help", "--"});
  CHECK(command<Exec>(invocation).words == std::vector<std::string>{"ls", "-la", "--help", "--"});
  CHECK_FALSE(invocation.help);
  CHECK(refusal({"deploy", "production", "--", "x"}) == "deploy takes nothing after \"--\" | codops deploy --help");
  CHECK(refusal({"exec", "production", "-la"}) ==
        "unknown option -la | options of the command itself go after \"--\"");
}

TEST_CASE("mistakes are named, with what was probably meant") {
  CHECK(refusal({"deplyo", "production"}) == "unknown command \"deplyo\" | did you mean \"codops deploy\"?");
  CHECK(refusal({"zzzzzz"}) == "unknown command \"zzzzzz\" | codops --help lists the commands");
  CHECK(refusal({"deploy"}) == "deploy needs ENV | codops deploy --help");
  CHECK(refusal({"deploy", "p", "--forse"}) == "unknown option --forse | did you mean --force?");
  CHECK(refusal({"deploy", "p", "--dryrun"}) == "unknown option --dryrun | did you mean --dry-run?");
  CHECK(refusal({"--bogusness"}) == "unknown option --bogusness | codops --help");
  CHECK(refusal({"deploy", "p", "--to", ""}) == "--to is empty | a variable that is not set? Give it a value, or leave it out");
  CHECK(refusal({"deploy", ""}) == "ENV is empty | a variable that is not set? Give it a value, or leave it out");
  CHECK(refusal({"deploy", "p", "--to"}) == "--to needs a value: VERSION | codops deploy --help");
  CHECK(refusal({"deploy", "p", "--to="}) == "--to has no value | ");
  CHECK(refusal({"deploy", "p", "--tail", "x"}) == "--tail takes a number, not \"x\" | ");
  CHECK(refusal({"deploy", "p", "--wait", "x"}).starts_with("--wait takes a duration, not \"x\""));
  CHECK(refusal({"deploy", "p", "--mode", "slwo"}) == "--mode is one of fast, slow, not \"slwo\" | did you mean \"slow\"?");
  CHECK(refusal({"exec", "a", "b"}) == "unexpected \"b\" after exec | codops exec --help");
}

TEST_CASE("a verb's own formats") {
  CHECK(read({"deploy", "p", "-o", "junit"}).options.format == "junit");
  CHECK(refusal({"exec", "p", "-o", "junit"}).starts_with("--output is one of text, json, not \"junit\""));
}

TEST_CASE("help and version need no other argument") {
  CHECK(read({"deploy", "--help"}).help);
  CHECK(read({"help", "backup", "list"}).help);
  CHECK(read({"help", "backup", "list"}).path == "backup list");
  CHECK(read({"config", "--help"}).help);
  CHECK(read({"--version"}).version);
  CHECK(read({}).path.empty());
}

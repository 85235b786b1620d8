// tools, env and ports: what a checkout needs before anything can run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/base/failure.hpp"
#include "lib/ops/dev/steps.hpp"
#include "lib/scaffold/dev/env_write.hpp"
#include "lib/scaffold/dev/in_place.hpp"
#include "lib/scaffold/dev/tools.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;

Finding check_tools(const Context& context, const Limits& limits) {
  const auto& workspace = context.workspace;
  std::vector<std::string> good, bad, hints;
  const auto complain = [&](std::string what, const std::string& hint) {
    bad.push_back(std::move(what));
    if (!hint.empty()) hints.push_back(hint);
  };
  for (const auto& wish : tool_wishes(workspace.packages, workspace.pin)) {
    const auto tool = find_tool(wish.name, workspace.project, context.ledger, limits);
    std::string hint;
    auto wrong = judge(wish, tool, hint);
    if (!wrong.empty()) {
      complain(std::move(wrong), hint);
      continue;
    }
    good.push_back(fmt::format("{} {}", tool.name, tool.version));
    if (const auto other = differs_from_named(wish, tool, hint); !other.empty()) context.reporter.note(fmt::format("{}: {}", other, hint));
  }
  if (!bad.empty()) return {false, fmt::format("{}", fmt::join(bad, "; ")), fmt::format("{}", fmt::join(hints, "; ")), {}};
  return {true, good.empty() ? "nothing is needed" : fmt::format("{}", fmt::join(good, ", ")), {}, {}};
}

std::string told(const EnvFile& file) {
  if (!file.before) return fmt::format("{} made from {}", file.path, file.example);
  std::string text;
  if (!file.appended.empty()) text = fmt::format("{}: {} added", file.path, fmt::join(file.appended, ", "));
  if (!file.changed.empty()) text += fmt::format("{}{} changed as agreed", text.empty() ? file.path + ": " : "; ", fmt::join(file.changed, ", "));
  return text.empty() ? file.path + " changed" : text;
}

Finding check_env(const Context& context) {
  const auto& workspace = context.workspace;
  std::vector<std::string> wanted, refused, names;
  std::string hint;
  // Only a look finds one: a run puts it back before anything else.
  for (const auto& file : half_written(workspace.project, workspace.folder / unfinished_writes)) wanted.push_back(fmt::format("a run that died wrote a part of \"{}\", which is put back as it was", file));
  for (const auto& file : workspace.env) {
    names.push_back(file.path);
    if (!file.changes()) continue;
    wanted.push_back(file.before ? fmt::format("{} lacks {}", file.path, file.appended.empty() ? fmt::format("{}", fmt::join(file.changed, ", ")) : fmt::format("{}", fmt::join(file.appended, ", ")))
                                 : fmt::format("{} is missing ({} is there)", file.path, file.example));
    if (auto no = why_not_writable(workspace.project, file)) {
      refused.push_back(std::move(no->why));
      hint = std::move(no->hint);
    }
  }
  Finding finding{wanted.empty(), names.empty() ? "no .env files and no examples" : fmt::format("{}", fmt::join(names, ", ")), {}, {}};
  if (!wanted.empty()) finding.text = fmt::format("{}", fmt::join(wanted, "; "));
  if (!refused.empty()) {
    finding.text += fmt::format("; {}", fmt::join(refused, "; "));
    finding.hint = std::move(hint);
  }
  return finding;
}

std::string write_all(const Context& context) {
  const auto& workspace = context.workspace;
  std::vector<std::string> done;
  for (const auto& file : workspace.env) {
    if (!file.changes()) continue;
    if (const auto no = why_not_writable(workspace.project, file)) {
      std::string lines;
      for (const auto& name : file.appended) lines += "\n  │ missing: " + name;
      throw Failure{Exit::failed, no->why + lines, no->hint};
    }
  }
  for (const auto& file : workspace.env) {
    if (!file.changes()) continue;
    write_env(workspace.project, file, workspace.folder);
    done.push_back(told(file));
  }
  return fmt::format("{}", fmt::join(done, "; "));
}

std::string holder_text(const PortPlan& plan) {
  if (plan.left_over) return fmt::format("container \"{}\", whose service is not in the compose file any more", plan.holder_container);
  if (!plan.holder_container.empty()) return fmt::format("container \"{}\"", plan.holder_container);
  return plan.orphan ? fmt::format("this checkout's own {}, whose folder was removed", plan.holder->text()) : plan.holder->text();
}

Finding check_ports(const Context& context) {
  const auto& workspace = context.workspace;
  Finding finding{true, {}, {}, {}};
  std::vector<std::string> good, bad;
  for (const auto& plan : workspace.ports) {
    const bool taken = plan.holder || !plan.holder_container.empty();
    if (!taken) {
      good.push_back(fmt::format("{} {}", plan.service, plan.port));
    } else if (plan.moved_to != 0) {
      good.push_back(fmt::format("{} {} ({} is taken by {})", plan.service, plan.moved_to, plan.port, holder_text(plan)));
    } else {
      bad.push_back(fmt::format("{}, which \"{}\" wants, is taken by {}", plan.port, plan.service, holder_text(plan)));
      const auto end_it = plan.left_over || !plan.holder_container.empty() ? fmt::format("docker stop {}", plan.holder_container) : std::string{"end that process"};
      if (plan.orphan) {
        finding.hint = "codops setup-dev --down, which ends it, and what it still holds goes with it; then codops setup-dev";
      } else if (plan.left_over) {
        finding.hint = fmt::format("{}; its data stays (docker rm {} once it may go)", end_it, plan.holder_container);
      } else if (workspace.backend == Backend::docker && plan.variable.empty()) {
        finding.hint = fmt::format("{}, or make the port a variable in the compose file: \"127.0.0.1:${{{}_PORT:-{}}}:…\"", end_it, plan.store == Store::postgres ? "POSTGRES" : plan.store == Store::redis ? "REDIS" : "APP", plan.port);
      } else {
        finding.hint = end_it + ", or let codops move to a free port: codops setup-dev --remap";
      }
    }
  }
  if (const auto& away = workspace.engine_failure; away && !bad.empty()) {
    throw Failure{away->code(), fmt::format("{}, and whether that is this checkout's own container can't be told: {}", fmt::join(bad, "; "), away->message()), away->hint()};
  }
  if (bad.empty() && !workspace.pending_changes.empty()) {
    bad.push_back(fmt::format("{} would have to point to this machine", fmt::join(workspace.pending_changes, ", ")));
    finding.hint = "agree to the change: codops setup-dev --remap";
  }
  finding.satisfied = bad.empty();
  finding.text = bad.empty() ? (good.empty() ? "none are needed" : fmt::format("{}", fmt::join(good, ", "))) : fmt::format("{}", fmt::join(bad, "; "));
  return finding;
}

}  // namespace

void add_tools(const Context& context, Steps& steps) {
  steps.push_back({"tools", {}, [&context](const Limits& limits) { return check_tools(context, limits); }, {}});
}

void add_env(const Context& context, Steps& steps) {
  // Before the files: a port that can't be had must not be written as if it could.
  steps.push_back({"ports", {}, [&context](const Limits&) { return check_ports(context); }, {}});
  steps.push_back({"env", {}, [&context](const Limits&) { return check_env(context); },
                   [&context](const Progress&, const Limits&) { return write_all(context); }});
}

}  // namespace codops::ops::dev

// The end of setup-dev: what is true now, where things are, what to type next.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/units.hpp"
#include "lib/ops/dev/setup.hpp"
#include "lib/scaffold/dev/secret_names.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
using Json = nlohmann::ordered_json;

struct Line {
  std::string what, where, note;
};

bool depends_on(const Package& package, const char* name) {
  return std::find(package.dependencies.begin(), package.dependencies.end(), name) != package.dependencies.end();
}

std::string port_of(const Workspace& workspace, const Package& package) {
  for (const auto& file : workspace.env) {
    const auto slash = file.path.rfind('/');
    const auto folder = slash == std::string::npos ? std::string{} : file.path.substr(0, slash);
    if (folder != package.directory) continue;
    if (const auto port = file.after.value("PORT"); port && !port->empty()) return *port;
  }
  if (depends_on(package, "vite")) return "5173";
  if (depends_on(package, "next")) return "3000";
  if (depends_on(package, "express") || depends_on(package, "fastify") || depends_on(package, "@nestjs/core") || depends_on(package, "koa")) {
    return workspace.value("PORT").value_or("3000");
  }
  return {};
}

std::string start_script(const Package& package) {
  for (const auto* name : {"dev", "start:dev", "develop", "start"}) {
    if (package.scripts.count(name) != 0) return name;
  }
  return {};
}

std::uint16_t port_now(const PortPlan& plan) { return plan.moved_to != 0 ? plan.moved_to : plan.port; }

// The service that runs this package already, and has its port; null: none.
const PortPlan* container_of(const Workspace& workspace, const Package& package) {
  if (workspace.backend != Backend::docker || !workspace.compose) return nullptr;
  const auto port = port_of(workspace, package);
  const auto folder = (workspace.project / package.directory).lexically_normal();
  for (const auto& plan : workspace.ports) {
    const auto service = workspace.compose->services.find(plan.service);
    if (plan.store != Store::none || service == workspace.compose->services.end()) continue;
    const auto& build = service->second.build;
    const bool built = build && !package.directory.empty() && (std::filesystem::path{workspace.compose->working_dir} / build->context / "").lexically_normal() == (folder / "").lexically_normal();
    if (built || port == std::to_string(port_now(plan))) return &plan;
  }
  return nullptr;
}

std::vector<Line> places(const Workspace& workspace) {
  std::vector<Line> lines;
  const auto credentials = [&](const StorePlan& plan) {
    return plan.variable.empty() ? std::string{"credentials in the compose file"} : fmt::format("{} in {}", plan.variable, plan.file);
  };
  if (workspace.postgres.wanted) {
    std::string where = fmt::format("{}:{}", workspace.postgres.host, workspace.postgres.reach());
    try {
      const auto target = workspace.database();
      where = fmt::format("postgresql://{}@{}/{}", target.user, where, target.database);
    } catch (const Failure&) {
      // Its step says what is wrong with the URL.
    }
    lines.push_back({"database", where, credentials(workspace.postgres)});
  }
  for (const auto& plan : workspace.migrations) {
    if (plan.own) continue;
    const auto target = workspace.database_of(plan);
    lines.push_back({"database", fmt::format("postgresql://{}@{}:{}/{}", target.user, target.host, target.port, target.database), plan.named});
  }
  if (workspace.redis.wanted) lines.push_back({"redis", fmt::format("redis://{}:{}", workspace.redis.host, workspace.redis.reach()), credentials(workspace.redis)});
  for (const auto& package : workspace.packages) {
    const auto port = port_of(workspace, package);
    const auto script = start_script(package);
    if (port.empty() || script.empty() || container_of(workspace, package) != nullptr) continue;
    lines.push_back({package.name, "http://localhost:" + port, "once it runs"});
  }
  if (workspace.backend != Backend::docker || !workspace.compose) return lines;
  for (const auto& plan : workspace.ports) {
    if (plan.store == Store::none) lines.push_back({plan.service, fmt::format("http://localhost:{}", port_now(plan)), {}});
  }
  return lines;
}

std::vector<std::string> next_commands(const Workspace& workspace) {
  std::vector<std::string> commands;
  for (const auto& package : workspace.packages) {
    const auto script = start_script(package);
    if (script.empty()) continue;
    // It runs: a second one would find the port taken.
    if (const auto* container = container_of(workspace, package)) {
      commands.push_back(fmt::format("codops dev logs -f {}", container->service));
      continue;
    }
    const auto run = script == "start" ? fmt::format("{} start", package.manager) : fmt::format("{} run {}", package.manager, script);
    commands.push_back(package.directory.empty() ? run : fmt::format("cd {} && {}", package.directory, run));
  }
  if (workspace.postgres.wanted) commands.emplace_back("codops dev psql");
  if (workspace.postgres.wanted || workspace.redis.wanted) commands.emplace_back("codops setup-dev --down");
  return commands;
}

// Keys of somebody else's, which nobody can invent: in what was made new, and still empty.
std::vector<std::string> to_fill(const Workspace& workspace) {
  std::vector<std::string> keys;
  for (const auto& file : workspace.env) {
    for (const auto& statement : file.after.statements()) {
      if (is_secret_name(statement.name) && statement.value && is_placeholder(*statement.value)) keys.push_back(fmt::format("{} in {}", statement.name, file.path));
    }
  }
  return keys;
}

std::size_t count(const Outcome& outcome, Ending ending) {
  return static_cast<std::size_t>(std::count_if(outcome.steps.begin(), outcome.steps.end(), [&](const StepResult& step) { return step.ending == ending; }));
}

// What may be said of a checkout that was looked at in part.
std::string claim(const Outcome& outcome, const Request& request) {
  if (request.only.empty()) {
    return fmt::format("ready{}{}{}", request.skip.empty() ? "" : " without ", fmt::join(request.skip, ", "), outcome.refused.empty() ? "" : ", but not every .env logs in");
  }
  return fmt::format("well as far as --only {} goes, {}the rest was not looked at", fmt::join(request.only, ","), outcome.left_out.empty() ? "" : fmt::format("but without {}; it and ", fmt::join(outcome.left_out, ", ")));
}

std::string headline(const Workspace& workspace, const Outcome& outcome, const Request& request) {
  if (outcome.exit == Exit::ok) {
    const auto done = count(outcome, Ending::done);
    if (request.check_only || done == 0) return fmt::format("{} · {} backend · nothing to do", claim(outcome, request), name_of(workspace.backend));
    return fmt::format("{} · {} backend · {} of {} steps done, {} were", claim(outcome, request), name_of(workspace.backend), done, outcome.steps.size(), count(outcome, Ending::unchanged));
  }
  const auto bad = count(outcome, Ending::failed) + count(outcome, Ending::wanted);
  return fmt::format("not ready · {} backend · {} of {} steps {}{}", name_of(workspace.backend), bad, outcome.steps.size(), request.check_only ? "have something to do" : "failed",
                     count(outcome, Ending::blocked) == 0 ? "" : fmt::format(", {} wait for them", count(outcome, Ending::blocked)));
}

// Words over as many lines as they need, none longer than 100 columns; a word alone may be.
std::string folded(const std::string& first, std::size_t indent, std::string_view text) {
  constexpr std::size_t width = 100;
  auto out = first;
  auto column = indent;
  for (bool begun = false; !text.empty(); begun = true) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (begun && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (begun) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

}  // namespace

std::string summary_text(const Workspace& workspace, const Outcome& outcome, const Request& request) {
  auto text = headline(workspace, outcome, request) + "\n";
  for (const auto& step : outcome.steps) {
    if (step.ending != Ending::failed && step.ending != Ending::wanted) continue;
    text += folded(fmt::format("  {} {:<17} ", step.ending == Ending::failed ? "✗" : "+", step.name), 22, step.text);
    if (!step.hint.empty()) text += folded(fmt::format("    {:<17} fix: ", ""), 27, step.hint);
  }
  if (outcome.exit == Exit::ok && request.only.empty()) {
    for (const auto& line : places(workspace)) text += fmt::format("  {:<10} {:<46} {}\n", line.what, line.where, line.note);
    while (text.find(" \n") != std::string::npos) text.erase(text.find(" \n"), 1);
  }
  for (const auto& line : outcome.refused) text += folded("  login      ", 13, line + ": setup-dev does not change what is there, so write that login there yourself");
  if (const auto keys = to_fill(workspace); !keys.empty()) text += fmt::format("  to fill in {}\n", fmt::join(keys, ", "));
  if (outcome.exit != Exit::ok) return text + fmt::format("  next:  {}\n", request.check_only ? "codops setup-dev" : "mend that, then codops setup-dev: what is done stays done");
  if (!request.only.empty()) return text + "  next:  codops doctor\n";
  bool first = true;
  for (const auto& command : next_commands(workspace)) {
    text += fmt::format("  {:<6} {}\n", first ? "next:" : "", command);
    first = false;
  }
  return text;
}

std::string summary_json(const Workspace& workspace, const Outcome& outcome, const Request& request) {
  Json json;
  json["exit"] = static_cast<int>(outcome.exit);
  // With --only nobody knows.
  json["ready"] = outcome.exit == Exit::ok && !request.only.empty() ? Json{} : Json(outcome.exit == Exit::ok);
  json["checked_only"] = request.check_only;
  json["only"] = request.only;
  json["skipped"] = request.skip;
  json["not_looked_at"] = outcome.left_out;
  json["backend"] = name_of(workspace.backend);
  if (!workspace.backend_why.empty()) json["backend_because"] = workspace.backend_why;
  json["steps"] = Json::array();
  for (const auto& step : outcome.steps) {
    Json entry{{"name", step.name}, {"ending", name_of(step.ending)}, {"text", step.text}, {"seconds", static_cast<double>(step.elapsed.count()) / 1000}};
    if (!step.hint.empty()) entry["hint"] = step.hint;
    if (!step.lines.empty()) entry["lines"] = step.lines;
    json["steps"].push_back(std::move(entry));
  }
  json["places"] = Json::array();
  for (const auto& line : places(workspace)) json["places"].push_back({{"name", line.what}, {"url", line.where}, {"note", line.note}});
  json["to_fill"] = to_fill(workspace);
  json["refused_logins"] = outcome.refused;
  json["next"] = next_commands(workspace);
  json["notes"] = workspace.notes;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace codops::ops::dev

#include "lib/plan/plan.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"

namespace codops::plan {
namespace {

using Json = nlohmann::json;

constexpr int plan_format = 1;

Json step_to_json(const Step& step) {
  return {{"name", step.name},       {"kind", step.kind}, {"text", step.text},       {"args", Json::parse(step.args)},
          {"mutates", step.mutates}, {"undo", step.undo}, {"no_undo", step.no_undo}, {"phase", static_cast<int>(step.phase)}};
}

Step step_from_json(const Json& json) {
  Step step;
  step.name = json.at("name");
  step.kind = json.at("kind");
  step.text = json.at("text");
  step.args = json.at("args").dump();
  step.mutates = json.at("mutates");
  step.undo = json.at("undo");
  step.no_undo = json.at("no_undo");
  step.phase = static_cast<Phase>(json.at("phase").get<int>());
  return step;
}

std::size_t width_of(std::string_view text) {
  // Columns, not bytes: continuation bytes of UTF-8 take none.
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(std::string text, std::size_t width) {
  for (auto columns = width_of(text); columns < width; ++columns) text += ' ';
  return text;
}

}  // namespace

NewerFormat::NewerFormat(std::string_view what, int found, int known)
    : Failure{Exit::data, fmt::format("{} has format {}, this codops reads up to {}", what, found, known),
              "nothing was changed: use the codops that wrote it, or a newer one"} {}

std::string to_json(const Plan& plan) {
  Json steps = Json::array();
  for (const auto& step : plan.steps) steps.push_back(step_to_json(step));
  const Json json{{"format", plan_format},
                  {"verb", plan.verb},
                  {"environment", plan.environment},
                  {"run", plan.run},
                  {"release", plan.release},
                  {"from", plan.from},
                  {"version", plan.version},
                  {"from_version", plan.from_version},
                  {"notes", plan.notes},
                  {"warnings", plan.warnings},
                  {"downtime", plan.downtime},
                  {"steps", std::move(steps)},
                  {"untouched", plan.untouched},
                  {"context", plan.context.empty() ? Json::object() : Json::parse(plan.context)}};
  return json.dump();
}

Plan from_json(const std::string& text) {
  try {
    const auto json = Json::parse(text);
    if (const int format = json.at("format"); format > plan_format) {
      throw NewerFormat{"the plan", format, plan_format};
    }
    Plan plan;
    plan.verb = json.at("verb");
    plan.environment = json.at("environment");
    plan.run = json.at("run");
    plan.release = json.at("release");
    plan.from = json.at("from");
    plan.version = json.at("version");
    plan.from_version = json.at("from_version");
    plan.notes = json.at("notes");
    plan.warnings = json.at("warnings");
    plan.downtime = json.at("downtime");
    for (const auto& step : json.at("steps")) plan.steps.push_back(step_from_json(step));
    plan.untouched = json.at("untouched");
    plan.context = json.at("context").dump();
    return plan;
  } catch (const Json::exception& error) {
    throw Failure{Exit::data, fmt::format("the plan can't be read: {}", error.what())};
  }
}

std::string steps_text(const Plan& plan) {
  std::string text;
  std::size_t name_width = 0;
  std::size_t text_width = 0;
  for (const auto& step : plan.steps) {
    name_width = std::max(name_width, width_of(step.name));
    text_width = std::max(text_width, std::min<std::size_t>(width_of(step.text), 60));
  }
  int number = 0;
  for (const auto& step : plan.steps) {
    std::string undo;
    if (!step.undo.empty()) undo = "undo: " + step.undo;
    else if (!step.no_undo.empty()) undo = "undo: none, " + step.no_undo;
    auto line = fmt::format("  {:2}  {}  {}  {}", ++number, padded(step.name, name_width), padded(step.text, text_width), undo);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  if (!plan.untouched.empty()) text += fmt::format("   =  {}\n", fmt::join(plan.untouched, ", "));
  return text;
}

}  // namespace codops::plan

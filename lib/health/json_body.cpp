#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/health/verdict.hpp"

namespace codops::health {
namespace {

nlohmann::json parse(std::string_view body) {
  // A parser's callback is the only way to bound the depth: a megabyte of '[' must not cost a stack.
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > 128) throw Failure{Exit::data, "the JSON is nested too deeply"};
    return true;
  };
  auto value = nlohmann::json::parse(body.begin(), body.end(), shallow, false);
  if (value.is_discarded()) throw Failure{Exit::data, "the body is not complete JSON"};
  return value;
}

// "$.a.b[0]", "a.b.0" and "/a/b/0" as the words between.
std::vector<std::string> steps_of(std::string_view path) {
  std::vector<std::string> steps;
  const bool pointer = path.starts_with('/');
  if (path.starts_with('$')) path.remove_prefix(1);
  const std::string_view ends = pointer ? "/" : ".[";
  while (!path.empty()) {
    if (!pointer && path.front() == '[') {
      const auto close = std::min(path.find(']'), path.size());
      auto word = path.substr(1, close - 1);
      if (word.size() >= 2 && (word.front() == '\'' || word.front() == '"')) word = word.substr(1, word.size() - 2);
      steps.emplace_back(word);
      path.remove_prefix(std::min(close + 1, path.size()));
      continue;
    }
    if (path.front() == (pointer ? '/' : '.')) path.remove_prefix(1);
    const auto end = std::min(path.find_first_of(ends), path.size());
    if (end > 0) steps.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return steps;
}

std::string lower(std::string text) {
  for (auto& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

}  // namespace

std::optional<std::string> json_at(std::string_view body, std::string_view path) {
  const auto document = parse(body);
  const auto* at = &document;
  for (const auto& step : steps_of(path)) {
    if (at->is_object()) {
      const auto found = at->find(step);
      if (found == at->end()) return std::nullopt;
      at = &*found;
    } else if (at->is_array() && !step.empty() && step.find_first_not_of("0123456789") == std::string::npos && step.size() < 10) {
      const auto index = static_cast<std::size_t>(std::stoul(step));
      if (index >= at->size()) return std::nullopt;
      at = &(*at)[index];
    } else {
      return std::nullopt;
    }
  }
  return at->is_string() ? at->get<std::string>() : at->dump();
}

std::optional<Status> json_status(std::string_view body) {
  const auto document = parse(body);
  if (!document.is_object()) return std::nullopt;
  const auto found = document.find("status");
  if (found == document.end() || !found->is_string()) return std::nullopt;
  const auto word = lower(found->get<std::string>());
  for (const auto* well : {"pass", "ok", "up", "healthy", "ready", "alive"}) {
    if (word == well) return Status::ok;
  }
  for (const auto* warned : {"warn", "warning", "degraded"}) {
    if (word == warned) return Status::warn;
  }
  for (const auto* failed : {"fail", "error", "down", "unhealthy", "out_of_service"}) {
    if (word == failed) return Status::fail;
  }
  return std::nullopt;
}

}  // namespace codops::health

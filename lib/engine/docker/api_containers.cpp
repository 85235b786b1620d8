#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/retry.hpp"
#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/filters.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/docker/stream_frames.hpp"

namespace codops::engine::docker {
namespace {

using nlohmann::json;

// Start and remove wait for the engine's one queue; on a busy host that lasts.
constexpr Milliseconds slow{120'000};

std::string path_of(const std::string& container, std::string_view action = {}) {
  return fmt::format("/containers/{}{}{}", io::percent_encode(container), action.empty() ? "" : "/", action);
}

Call post(std::string path, Query query = {}) {
  return {.method = "POST", .path = std::move(path), .query = std::move(query), .timeout = slow};
}

}  // namespace

std::vector<ContainerSummary> Api::containers(const Filters& filters, bool with_stopped, const Limits& limits) {
  auto query = filters_query(filters);
  if (with_stopped) query.emplace_back("all", "1");
  std::vector<ContainerSummary> found;
  for (const auto& value : client_.call_json({.path = "/containers/json", .query = query}, limits)) {
    found.push_back(container_summary(value));
  }
  return found;
}

CreatedContainer Api::create_container(const std::string& name, const json& body, const Limits& limits) {
  auto call = post("/containers/create", {{"name", name}});
  call.body = body.dump();
  const auto answer = client_.call_json(call, limits);
  return {text_at(answer, {"Id"}), texts_at(answer, {"Warnings"})};
}

ContainerDetails Api::inspect_container(const std::string& container, const Limits& limits) {
  return container_details(client_.call_json({.path = path_of(container, "json")}, limits));
}

std::optional<ContainerDetails> Api::find_container(const std::string& container, const Limits& limits) {
  const auto response = client_.call({.path = path_of(container, "json"), .expected = {404}}, limits);
  if (response.status == 404) return std::nullopt;
  return container_details(json::parse(response.body, nullptr, false));
}

void Api::start_container(const std::string& container, const Limits& limits) {
  auto call = post(path_of(container, "start"));
  call.idempotent = true;
  client_.call(call, limits);
}

void Api::stop_container(const std::string& container, std::chrono::seconds grace, const Limits& limits) {
  auto call = post(path_of(container, "stop"), {{"t", fmt::format("{}", grace.count())}});
  call.timeout = slow + grace;
  call.idempotent = true;
  client_.call(call, limits);
}

void Api::restart_container(const std::string& container, std::chrono::seconds grace, const Limits& limits) {
  auto call = post(path_of(container, "restart"), {{"t", fmt::format("{}", grace.count())}});
  call.timeout = slow + grace;
  client_.call(call, limits);
}

void Api::kill_container(const std::string& container, const std::string& signal, const Limits& limits) {
  client_.call(post(path_of(container, "kill"), {{"signal", signal}}), limits);
}

void Api::pause_container(const std::string& container, const Limits& limits) {
  client_.call(post(path_of(container, "pause")), limits);
}

void Api::unpause_container(const std::string& container, const Limits& limits) {
  client_.call(post(path_of(container, "unpause")), limits);
}

void Api::rename_container(const std::string& container, const std::string& name, const Limits& limits) {
  client_.call(post(path_of(container, "rename"), {{"name", name}}), limits);
}

void Api::set_restart_policy(const std::string& container, const std::string& policy, int max_retries,
                             const Limits& limits) {
  auto call = post(path_of(container, "update"));
  call.body = json{{"RestartPolicy", {{"Name", policy}, {"MaximumRetryCount", max_retries}}}}.dump();
  call.idempotent = true;
  // One that has just died is one that runs to the engine, and not to what runs it: in a moment both agree.
  const auto within = limits.within(Milliseconds{5'000});
  Backoff pause{Milliseconds{20}, Milliseconds{200}};
  for (;;) {
    try {
      client_.call(call, limits);
      return;
    } catch (const ApiError& error) {
      // "… cannot update a stopped container", "… container not running"
      if (error.message().find("Cannot update container") == std::string::npos || !pause.wait(within)) throw;
    }
  }
}

void Api::remove_container(const std::string& container, bool force, bool with_anonymous_volumes, const Limits& limits) {
  Query query;
  if (force) query.emplace_back("force", "1");
  if (with_anonymous_volumes) query.emplace_back("v", "1");
  const Call remove{.method = "DELETE", .path = path_of(container), .query = query, .idempotent = true, .timeout = slow, .expected = {404}};
  // While somebody else removes it the engine refuses; asked again, it is gone, or ours to remove should theirs have failed.
  const auto within = limits.within(slow);
  Backoff pause{Milliseconds{20}, Milliseconds{100}};
  for (;;) {
    try {
      client_.call(remove, limits);
      return;
    } catch (const ApiError& error) {
      if (!error.conflict() || error.message().find("already in progress") == std::string::npos || !pause.wait(within)) throw;
    }
  }
}

int Api::wait_container(const std::string& container, const std::string& condition, const Limits& limits) {
  const auto answer = client_.call_json({.method = "POST",
                                         .path = path_of(container, "wait"),
                                         .query = {{"condition", condition}},
                                         .idempotent = true,
                                         .timeout = Milliseconds{0}},
                                        limits);
  if (const auto error = text_at(answer, {"Error", "Message"}); !error.empty()) throw Failure{Exit::failed, error};
  return static_cast<int>(number_at(answer, {"StatusCode"}));
}

ProcessList Api::top(const std::string& container, const Limits& limits) {
  const auto answer = client_.call_json({.path = path_of(container, "top")}, limits);
  ProcessList list;
  list.titles = texts_at(answer, {"Titles"});
  for (const auto& row : field(answer, {"Processes"})) list.rows.push_back(texts_at(row, {}));
  return list;
}

void Api::logs(const std::string& container, const LogOptions& options, const io::ByteSink& out, const io::ByteSink& err,
               const Limits& limits) {
  // Whether the stream is framed can't be seen from the stream.
  const bool tty = inspect_container(container, limits).tty;
  Query query{{"stdout", "1"}, {"stderr", "1"}};
  if (options.tail) query.emplace_back("tail", fmt::format("{}", *options.tail));
  if (options.follow) query.emplace_back("follow", "1");
  if (options.timestamps) query.emplace_back("timestamps", "1");
  if (!options.since.empty()) query.emplace_back("since", options.since);
  if (!options.until.empty()) query.emplace_back("until", options.until);
  StreamFrames frames{out, err};
  Call call{.path = path_of(container, "logs"), .query = query, .timeout = Milliseconds{0}};
  if (!options.follow) call.inactivity = Milliseconds{30'000};
  call.download = [&](std::string_view bytes) {
    if (!tty) return frames.feed(bytes);
    if (out) out(bytes);
  };
  client_.call(call, limits);
}

}  // namespace codops::engine::docker

// Pods' logs and commands, scale, and what we may do.
#include <fmt/format.h>
#include <poll.h>

#include <nlohmann/json.hpp>

#include "lib/base/retry.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/exec.hpp"
#include "lib/engine/kubernetes/log_lines.hpp"
#include "lib/target/input.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

Call log_call(const std::string& namespace_, const std::string& pod, const LogOptions& options) {
  Call call{.path = fmt::format("/api/v1/namespaces/{}/pods/{}/log", io::percent_encode(namespace_), io::percent_encode(pod)),
            .accept = "*/*",
            .what = fmt::format("read the log of Pod {}/{}", namespace_, pod)};
  if (!options.container.empty()) call.query.emplace_back("container", options.container);
  if (options.follow) call.query.emplace_back("follow", "true");
  if (options.previous) call.query.emplace_back("previous", "true");
  if (options.timestamps) call.query.emplace_back("timestamps", "true");
  if (options.tail) call.query.emplace_back("tailLines", std::to_string(*options.tail));
  if (options.since) call.query.emplace_back("sinceTime", to_rfc3339(*options.since));
  if (options.limit_bytes) call.query.emplace_back("limitBytes", std::to_string(*options.limit_bytes));
  return call;
}

constexpr Milliseconds settling_time{300};

// Of one container of a pod: has this instance ended?
struct Instance {
  bool known{false}, ended{false};
  std::int64_t restarts{0};
};
Instance instance_of(const json& pod, const std::string& container) {
  for (const auto* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
    for (const auto& status : field(pod, {"status", list})) {
      if (!container.empty() && text_at(status, {"name"}) != container) continue;
      return {true, field(status, {"state", "terminated"}).is_object(), number_at(status, {"restartCount"})};
    }
  }
  return {};
}

}  // namespace

void Api::logs(const std::string& namespace_, const std::string& pod, const LogOptions& options, const io::ByteSink& bytes,
               const Limits& limits) {
  const auto stream = client_.open(log_call(namespace_, pod, options), limits);
  for (auto some = stream->read(limits); !some.empty(); some = stream->read(limits)) bytes(some);
}

void Api::follow_lines(const std::string& namespace_, const std::string& pod, const std::string& container,
                       const std::function<void(std::string_view line, bool ended)>& each, const Limits& limits) {
  const ObjectRef ref{"v1", "Pod", namespace_, pod};
  const auto before = instance_of(get(ref, limits), container);
  LogLines lines{each};
  Backoff backoff{Milliseconds{100}, Milliseconds{2'000}};
  const auto outage = Deadline::after(std::max(client_.outage(), Milliseconds{10'000}));
  bool ended = before.ended;
  std::optional<std::size_t> taken;
  for (;;) {
    try {
      LogOptions options{.container = container, .follow = !ended, .timestamps = true, .since = lines.since()};
      logs(namespace_, pod, options, [&lines](std::string_view bytes) { lines.feed(bytes); }, limits);
      if (ended) {
        // The node goes on writing what was said before the end: a second look that finds no more has everything.
        if (taken == lines.taken()) {
          lines.end();
          return;
        }
        taken = lines.taken();
        limits.within(settling_time).wait(-1, 0);
        lines.cut_off();
        continue;
      }
    } catch (const io::HttpFailure&) {
      if (outage.expired() || !backoff.wait(limits)) throw;
    }
    lines.cut_off();
    const auto now = find(ref, limits);
    if (!now) {
      lines.end();
      return;
    }
    const auto instance = instance_of(*now, container);
    if (instance.restarts != before.restarts) {
      // Its log is that of the next one now.
      logs(namespace_, pod, {.container = container, .previous = true, .timestamps = true, .since = lines.since()},
           [&lines](std::string_view bytes) { lines.feed(bytes); }, limits);
      lines.end();
      return;
    }
    ended = instance.ended;
    // The server let go of a log that goes on.
    if (!ended) backoff.wait(limits);
  }
}

ScaleState Api::scale(const ObjectRef& workload, const Limits& limits) {
  const auto answer = client_.call_json({.path = path_of(workload, limits, "scale"), .what = "read the scale of " + workload.text()}, limits);
  return {static_cast<int>(number_at(answer, {"spec", "replicas"})), static_cast<int>(number_at(answer, {"status", "replicas"})),
          text_at(answer, {"metadata", "resourceVersion"})};
}

void Api::set_scale(const ObjectRef& workload, int replicas, const Limits& limits) {
  client_.call({.method = "PATCH",
                .path = path_of(workload, limits, "scale"),
                .query = {{"fieldManager", std::string{field_manager}}},
                .body = json{{"spec", {{"replicas", replicas}}}}.dump(),
                .content_type = "application/merge-patch+json",
                .what = "scale " + workload.text(),
                .repeatable = true},
               limits);
}

bool Api::allowed(const AccessQuestion& question, const Limits& limits) {
  json attributes{{"verb", question.verb}, {"group", question.group}, {"resource", question.plural}};
  if (!question.subresource.empty()) attributes["subresource"] = question.subresource;
  if (!question.namespace_.empty()) attributes["namespace"] = question.namespace_;
  if (!question.name.empty()) attributes["name"] = question.name;
  const json review{{"apiVersion", "authorization.k8s.io/v1"}, {"kind", "SelfSubjectAccessReview"}, {"spec", {{"resourceAttributes", attributes}}}};
  const auto answer = client_.call_json({.method = "POST",
                                         .path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                                         .body = review.dump(),
                                         .what = "ask for permissions",
                                         .repeatable = true},
                                        limits);
  return flag_at(answer, {"status", "allowed"});
}

int Api::exec(const ExecSpec& spec, const io::ByteSource& in, const io::ByteSink& out, const io::ByteSink& err, const Limits& limits) {
  ExecSession session{*this, spec, static_cast<bool>(in), limits};
  bool input_open = static_cast<bool>(in);
  std::array<char, 32768> chunk;
  for (;;) {
    bool moved = false;
    while (const auto output = session.try_read()) {
      moved = true;
      if (output->channel == ExecSession::Output::Channel::end) {
        const auto code = session.exit_code();
        if (err && !session.why_not_started().empty()) err(session.why_not_started() + "\n");
        return code;
      }
      const auto& sink = output->channel == ExecSession::Output::Channel::out ? out : err;
      if (sink) sink(output->bytes);
    }
    const bool sent = session.flush();
    int silent = -1;
    if (input_open && sent) {
      try {
        const auto count = in(chunk.data(), chunk.size());
        if (count == 0) {
          input_open = false;
          session.end_stdin();
        } else {
          session.write({chunk.data(), count});
        }
        moved = true;
      } catch (const target::NothingYet& nothing) {
        silent = nothing.fd;
      }
    }
    limits.check(fmt::format("the command in Pod {}/{}", spec.namespace_, spec.pod));
    if (!moved) target::wait_for_either(session.fd(), static_cast<short>(sent ? POLLIN : POLLIN | POLLOUT), silent, limits);
  }
}

}  // namespace codops::engine::kubernetes

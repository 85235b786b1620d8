#include "lib/engine/kubernetes/containers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/watch.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;
using target::HealthState;
using target::RunState;

const json& controller_of(const json& pod) {
  static const json none;
  for (const auto& owner : field(pod, {"metadata", "ownerReferences"})) {
    if (flag_at(owner, {"controller"})) return owner;
  }
  return none;
}

RunState run_state_of(const json& status) {
  if (field(status, {"state", "running"}).is_object()) return RunState::running;
  if (field(status, {"state", "terminated"}).is_object()) return RunState::exited;
  // It waits: after a crash for its next try, or for its first start.
  return number_at(status, {"restartCount"}) > 0 || field(status, {"lastState", "terminated"}).is_object() ? RunState::restarting : RunState::created;
}

HealthState health_state_of(const json& spec, const json& status, RunState state) {
  if (state != RunState::running) return HealthState::none;
  const bool probed = spec.contains("readinessProbe") || spec.contains("startupProbe") || spec.contains("livenessProbe");
  if (!probed) return HealthState::none;
  return flag_at(status, {"ready"}) ? HealthState::healthy : HealthState::starting;
}

const json& named_in(const json& list, const std::string& name) {
  static const json none;
  for (const auto& item : list) {
    if (text_at(item, {"name"}) == name) return item;
  }
  return none;
}

// "docker.io/library/x@sha256:…", "docker-pullable://x@sha256:…", "sha256:…" → "sha256:…"
std::string digest_in(const std::string& image_id) {
  const auto digest = image_id.rfind("sha256:");
  return digest == std::string::npos ? image_id : image_id.substr(digest);
}

// Words for `printf %b`: what a shell may take for its own is written in octal.
std::string printf_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' || c == '.';
    if (plain) escaped += c;
    else escaped += fmt::format("\\0{:03o}", byte);
  }
  return escaped;
}

// Reads NAME=VALUE lines up to an empty one from its stdin, exports them, and becomes the command, whose stdin is the rest.
constexpr const char* variables_reader =
    R"(while IFS= read -r codops_line && [ -n "$codops_line" ]; do codops_value=$(printf '%b.' "${codops_line#*=}"); )"
    R"(export "${codops_line%%=*}=${codops_value%.}"; done; unset codops_line codops_value; )";
constexpr const char* folder_changer = R"(cd "$1" || exit 126; shift; )";

// First `head`, then what `rest` has.
io::ByteSource preceded(std::string head, target::Source rest) {
  return [head = std::move(head), at = std::size_t{0}, rest = std::move(rest)](char* into, std::size_t size) mutable -> std::size_t {
    if (at < head.size()) {
      const auto count = std::string_view{head}.substr(at).copy(into, size);
      at += count;
      return count;
    }
    return rest ? rest(into, size) : 0;
  };
}

constexpr Milliseconds reader_patience{120'000};

// A pod that was made to be read goes, whatever became of the reading, cancellation included.
class TemporaryPod {
 public:
  TemporaryPod(Api& api, ObjectRef ref) : api_{api}, ref_{std::move(ref)} {}
  TemporaryPod(const TemporaryPod&) = delete;
  TemporaryPod& operator=(const TemporaryPod&) = delete;
  ~TemporaryPod() {
    constexpr Milliseconds long_enough{10'000};
    try {
      api_.remove(ref_, {.grace_seconds = 0}, Limits{Deadline::after(long_enough), {}});
    } catch (const Failure&) {
      // Its activeDeadlineSeconds ends it, its label names it as left over.
    }
  }

 private:
  Api& api_;
  ObjectRef ref_;
};

json reader_pod(const std::string& namespace_, const std::string& name, const std::string& image) {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", {{"name", name}, {"namespace", namespace_}, {"labels", {{"codops.role", "read"}}}}},
          {"spec",
           {{"restartPolicy", "Never"},
            {"activeDeadlineSeconds", 600},
            {"terminationGracePeriodSeconds", 0},
            {"automountServiceAccountToken", false},
            {"enableServiceLinks", false},
            {"containers",
             {{{"name", "read"},
               {"image", image},
               {"imagePullPolicy", "IfNotPresent"},
               {"command", {"sleep", "600"}},
               {"securityContext",
                {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", {"ALL"}}}}, {"seccompProfile", {{"type", "RuntimeDefault"}}}}}}}}}}};
}

// Until its container runs; Failure with the reason as soon as it is clear that it won't.
void wait_until_runs(Api& api, const ObjectRef& pod, const std::string& image, const Limits& limits) {
  Watch watch{api, {{"v1", "Pod", pod.namespace_, {.fields = "metadata.name=" + pod.name}}}};
  constexpr std::array hopeless{"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerError",
                                "CreateContainerConfigError", "RunContainerError", "ErrRegistryUnavailable"};
  for (;;) {
    const auto event = watch.next(limits);
    if (!event.object) continue;
    if (event.what == WatchEvent::What::deleted) throw Failure{Exit::failed, fmt::format("{} was deleted", pod.text())};
    for (const auto& status : field(*event.object, {"status", "containerStatuses"})) {
      if (field(status, {"state", "running"}).is_object()) return;
      const auto reason = text_at(status, {"state", "waiting", "reason"});
      const bool ended = field(status, {"state", "terminated"}).is_object();
      if (!ended && std::find(hopeless.begin(), hopeless.end(), reason) == hopeless.end()) continue;
      throw Failure{Exit::failed,
                    fmt::format("no container of the image \"{}\" can be read: {}: {}", image, ended ? text_at(status, {"state", "terminated", "reason"}) : reason,
                                text_at(status, {"state", ended ? "terminated" : "waiting", "message"})),
                    ended || reason == "RunContainerError" || reason == "CreateContainerError" ? "the image needs sleep and tar for this" : ""};
    }
  }
}

}  // namespace

PodContainer parse_container_id(const std::string& id, const std::string& default_namespace) {
  const auto first = id.find('/');
  if (first == std::string::npos) return {default_namespace, id, {}};
  const auto second = id.find('/', first + 1);
  if (second == std::string::npos) return {default_namespace, id.substr(0, first), id.substr(first + 1)};
  return {id.substr(0, first), id.substr(first + 1, second - first - 1), id.substr(second + 1)};
}

std::string workload_of(const json& pod) {
  const auto& owner = controller_of(pod);
  auto name = text_at(owner, {"name"});
  if (name.empty()) return text_at(pod, {"metadata", "name"});
  const auto hash = text_at(pod, {"metadata", "labels", "pod-template-hash"});
  // A Deployment names its ReplicaSets by itself and the hash of the template.
  if (text_at(owner, {"kind"}) == "ReplicaSet" && !hash.empty() && name.ends_with("-" + hash)) name.resize(name.size() - hash.size() - 1);
  return name;
}

PodContainers::PodContainers(Api& api, std::string namespace_, std::string selector)
    : api_{api}, namespace_{std::move(namespace_)}, selector_{std::move(selector)} {}

std::vector<target::Container> PodContainers::list(std::string_view service, bool with_stopped, const Limits& limits) {
  std::vector<target::Container> found;
  api_.list("v1", "Pod", namespace_, {.labels = selector_}, [&](json&& pod) {
    const auto workload = workload_of(pod);
    if (!service.empty() && workload != service) return;
    // A pod that is ending takes no new callers.
    if (!with_stopped && !text_at(pod, {"metadata", "deletionTimestamp"}).empty()) return;
    const auto pod_name = text_at(pod, {"metadata", "name"});
    auto specs = field(pod, {"spec", "containers"});
    // The one that people mean comes first, as kubectl has it.
    const auto main = text_at(pod, {"metadata", "annotations", "kubectl.kubernetes.io/default-container"});
    if (specs.is_array()) std::stable_partition(specs.begin(), specs.end(), [&](const json& spec) { return !main.empty() && text_at(spec, {"name"}) == main; });
    for (const auto& spec : specs) {
      target::Container container;
      const auto name = text_at(spec, {"name"});
      const auto& status = named_in(field(pod, {"status", "containerStatuses"}), name);
      container.id = fmt::format("{}/{}/{}", namespace_, pod_name, name);
      container.name = specs.size() == 1 ? pod_name : fmt::format("{}/{}", pod_name, name);
      container.service = workload;
      container.image = text_at(spec, {"image"});
      container.image_id = digest_in(text_at(status, {"imageID"}));
      container.state = run_state_of(status);
      container.health = health_state_of(spec, status, container.state);
      container.completed = container.state == RunState::exited && number_at(status, {"state", "terminated", "exitCode"}) == 0;
      container.labels = texts_by_name_at(pod, {"metadata", "labels"});
      const bool runs = container.state == RunState::running || container.state == RunState::restarting;
      if (runs || with_stopped) found.push_back(std::move(container));
    }
  }, limits);
  return found;
}

std::vector<std::string> PodContainers::last_logs(const std::string& container, std::size_t lines, const Limits& limits) {
  const auto where = parse_container_id(container, namespace_);
  std::string text;
  api_.logs(where.namespace_, where.pod, {.container = where.container, .tail = lines}, [&text](std::string_view bytes) { text += bytes; }, limits);
  std::vector<std::string> found;
  std::string_view rest{text};
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    auto line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    found.emplace_back(line);
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return found;
}

int PodContainers::exec(const std::string& container, const target::ExecRequest& request, const target::ExecStreams& streams, const Limits& limits) {
  const auto where = parse_container_id(container, namespace_);
  if (!request.user.empty()) {
    throw Failure{Exit::failed, fmt::format("a command in a pod can't be run as \"{}\": it has the container's user", request.user),
                  "leave the user out, or start the command by su or setpriv"};
  }
  Api::ExecSpec spec{.namespace_ = where.namespace_, .pod = where.pod, .container = where.container, .argv = request.argv};
  if (request.env.empty() && request.workdir.empty()) return api_.exec(spec, streams.in, streams.out, streams.err, limits);
  std::string script, lines;
  for (const auto& [name, value] : request.env) lines += fmt::format("{}={}\n", name, printf_escaped(value.reveal()));
  if (!request.env.empty()) script += variables_reader;
  if (!request.workdir.empty()) script += folder_changer;
  spec.argv = {"sh", "-c", script + R"(exec "$@")", "codops"};
  if (!request.workdir.empty()) spec.argv.push_back(request.workdir);
  spec.argv.insert(spec.argv.end(), request.argv.begin(), request.argv.end());
  if (request.env.empty()) return api_.exec(spec, streams.in, streams.out, streams.err, limits);
  return api_.exec(spec, preceded(lines + "\n", streams.in), streams.out, streams.err, limits);
}

void PodContainers::read_archive(const std::string& container, const std::string& path, const target::Sink& archive, const Limits& limits) {
  auto whole = path;
  while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  const auto slash = whole.rfind('/');
  const auto folder = slash == std::string::npos ? std::string{"."} : slash == 0 ? std::string{"/"} : whole.substr(0, slash);
  const auto name = slash == std::string::npos ? whole : whole.substr(slash + 1);
  std::string complaint;
  const int code = exec(container, {.argv = {"tar", "-cf", "-", "-C", folder, name.empty() ? "." : name}},
                        {.out = archive, .err = [&complaint](std::string_view bytes) {
                           constexpr std::size_t most = 1000;
                           if (complaint.size() < most) complaint += bytes;
                         }},
                        limits);
  if (code == 0) return;
  while (!complaint.empty() && complaint.back() == '\n') complaint.pop_back();
  throw Failure{Exit::failed, fmt::format("\"{}\" of \"{}\" can't be read: tar exited with {}: {}", path, container, code, complaint)};
}

void PodContainers::write_archive(const std::string& container, const std::string& folder, const target::Source& archive, const Limits& limits) {
  std::string complaint;
  const int code = exec(container, {.argv = {"tar", "-xf", "-", "-C", folder}},
                        {.in = archive, .err = [&complaint](std::string_view bytes) {
                           constexpr std::size_t most = 1000;
                           if (complaint.size() < most) complaint += bytes;
                         }},
                        limits);
  if (code == 0) return;
  while (!complaint.empty() && complaint.back() == '\n') complaint.pop_back();
  throw Failure{Exit::failed, fmt::format("\"{}\" of \"{}\" can't be written: tar exited with {}: {}", folder, container, code, complaint)};
}

void PodContainers::read_image(const std::string& image, const std::string& path, const target::Sink& archive, const Limits& limits) {
  const auto bounded = limits.within(reader_patience);
  const ObjectRef ref{"v1", "Pod", namespace_, "codops-read-" + io::to_hex(io::random_bytes(6))};
  api_.create(reader_pod(namespace_, ref.name, image), bounded);
  const TemporaryPod pod{api_, ref};
  wait_until_runs(api_, ref, image, bounded);
  read_archive(fmt::format("{}/{}/read", namespace_, ref.name), path, archive, limits);
}

}  // namespace codops::engine::kubernetes

#include "lib/engine/docker/containers.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/objects.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::docker {
namespace {

std::string label_of(const ContainerSummary& container, std::string_view name) {
  const auto found = container.labels.find(std::string{name});
  return found == container.labels.end() ? std::string{} : found->second;
}

// Bytes of one stream into whole lines; what follows the last newline is a line too.
class LineCutter {
 public:
  explicit LineCutter(std::vector<std::string>& lines) : lines_{lines} {}
  void feed(std::string_view bytes) {
    for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
      rest_ += bytes.substr(0, end);
      finish();
      bytes.remove_prefix(end + 1);
    }
    rest_ += bytes;
  }
  void end() {
    if (!rest_.empty()) finish();
  }

 private:
  void finish() {
    if (rest_.ends_with('\r')) rest_.pop_back();
    lines_.push_back(std::exchange(rest_, {}));
  }
  std::vector<std::string>& lines_;
  std::string rest_;
};

// Removes a container that was made to be read, whatever became of the reading, cancellation included.
class Temporary {
 public:
  Temporary(Api& api, std::string id) : api_{api}, id_{std::move(id)} {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    constexpr Milliseconds long_enough{10'000};
    try {
      api_.remove_container(id_, true, true, Limits{Deadline::after(long_enough), {}});
    } catch (const Failure&) {
      // Its label names it as left over.
    }
  }

 private:
  Api& api_;
  std::string id_;
};

}  // namespace

std::vector<target::Container> ProjectContainers::list(std::string_view service, bool with_stopped, const Limits& limits) {
  std::vector<std::string> labels{fmt::format("{}={}", compose_project_label, project_)};
  if (!service.empty()) labels.push_back(fmt::format("{}={}", compose_service_label, service));
  std::vector<target::Container> found;
  for (auto& summary : api_.containers({{"label", labels}}, with_stopped, limits)) {
    if (label_of(summary, compose_oneoff_label) == "True") continue;
    target::Container container;
    container.service = label_of(summary, compose_service_label);
    container.id = std::move(summary.id);
    container.name = std::move(summary.name);
    container.image = std::move(summary.image);
    container.image_id = std::move(summary.image_id);
    container.state = summary.state;
    container.health = summary.health;
    container.completed = summary.status.starts_with("Exited (0)");
    container.labels = std::move(summary.labels);
    found.push_back(std::move(container));
  }
  return found;
}

std::vector<std::string> ProjectContainers::last_logs(const std::string& container, std::size_t lines,
                                                      const Limits& limits) {
  std::vector<std::string> found;
  LineCutter out{found}, err{found};
  api_.logs(container, {.tail = lines}, [&out](std::string_view bytes) { out.feed(bytes); },
            [&err](std::string_view bytes) { err.feed(bytes); }, limits);
  out.end();
  err.end();
  if (found.size() > lines) found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(lines));
  return found;
}

int ProjectContainers::exec(const std::string& container, const target::ExecRequest& request,
                            const target::ExecStreams& streams, const Limits& limits) {
  Api::ExecSpec spec{.argv = request.argv, .user = request.user, .workdir = request.workdir};
  for (const auto& [name, value] : request.env) spec.env.push_back(fmt::format("{}={}", name, value.reveal()));
  return api_.run_exec(container, spec, streams.in, streams.out, streams.err, limits);
}

void ProjectContainers::read_archive(const std::string& container, const std::string& path, const target::Sink& archive,
                                     const Limits& limits) {
  if (api_.get_archive(container, path, archive, limits)) return;
  throw Failure{Exit::failed, fmt::format("there is no \"{}\" in \"{}\"", path, container)};
}

void ProjectContainers::write_archive(const std::string& container, const std::string& folder, const target::Source& archive, const Limits& limits) {
  api_.put_archive(container, folder, archive, limits);
}

void ProjectContainers::read_image(const std::string& image, const std::string& path, const target::Sink& archive,
                                   const Limits& limits) {
  const nlohmann::json body{{"Image", image},
                            {"Cmd", {"never-started"}},
                            {"Labels", {{role_label, "read"}, {project_label, project_}}},
                            {"HostConfig", {{"NetworkMode", "none"}}}};
  const auto name = fmt::format("codops-{}-read-{}", project_, io::to_hex(io::random_bytes(6)));
  const Temporary container{api_, api_.create_container(name, body, limits).id};
  if (api_.get_archive(name, path, archive, limits)) return;
  throw Failure{Exit::failed, fmt::format("there is no \"{}\" in the image \"{}\"", path, image)};
}

}  // namespace codops::engine::docker

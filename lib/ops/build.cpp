#include "lib/ops/build.hpp"

#include <fmt/format.h>

#include <deque>
#include <fstream>
#include <sstream>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/io/files.hpp"
#include "lib/io/tar.hpp"
#include "lib/ops/ignore_file.hpp"
#include "lib/ops/images.hpp"

namespace codops::ops {
namespace {

namespace fs = std::filesystem;

// Where a Dockerfile goes that is no file of the context.
constexpr std::string_view other_dockerfile = ".codops.Dockerfile";

// The text of the Dockerfile where it is none of the context's files: given in the compose file, or outside of the context.
std::optional<std::string> separate_dockerfile(const compose::Build& build, const fs::path& folder, const std::string& service) {
  if (!build.dockerfile_inline.empty()) return build.dockerfile_inline;
  if (build.dockerfile.empty()) return std::nullopt;
  const auto path = (fs::path{build.dockerfile}.is_absolute() ? fs::path{build.dockerfile} : folder / build.dockerfile).lexically_normal();
  const auto relative = path.lexically_relative(folder.lexically_normal());
  if (relative.empty() || *relative.begin() != "..") return std::nullopt;
  auto text = io::read_file_if_there(path);
  if (!text) throw Failure{Exit::config, fmt::format("there is no Dockerfile \"{}\" for service \"{}\"", path.string(), service)};
  return text;
}

// The context as a tar stream, file after file, nothing held in memory.
class Context {
 public:
  Context(const fs::path& folder, const IgnoreFile& ignore, const std::string& dockerfile, std::optional<std::string> separate)
      : folder_{folder}, separate_{std::move(separate)} {
    for (auto entry = fs::recursive_directory_iterator{folder}; entry != fs::recursive_directory_iterator{}; ++entry) {
      const auto relative = entry->path().lexically_relative(folder).string();
      const bool needed = relative == dockerfile || relative == ".dockerignore";
      if (!needed && ignore.excludes(relative)) {
        if (entry->is_directory() && !entry->is_symlink() && !ignore.has_exceptions()) entry.disable_recursion_pending();
        continue;
      }
      if (entry->is_regular_file() || entry->is_symlink() || entry->is_directory()) paths_.push_back(entry->path());
    }
    std::sort(paths_.begin(), paths_.end());
  }

  bool next(io::TarEntry& entry, io::ByteSource& content) {
    if (position_ == paths_.size()) {
      if (!separate_) return false;
      entry = {};
      entry.path = other_dockerfile;
      entry.content = *std::exchange(separate_, std::nullopt);
      entry.size = entry.content.size();
      auto in = std::make_shared<std::istringstream>(entry.content);
      content = [in](char* into, std::size_t size) {
        in->read(into, static_cast<std::streamsize>(size));
        return static_cast<std::size_t>(in->gcount());
      };
      return true;
    }
    const auto& path = paths_[position_++];
    entry = {};
    entry.path = path.lexically_relative(folder_).string();
    const auto status = fs::symlink_status(path);
    entry.mode = static_cast<unsigned>(status.permissions()) & 0777U;
    if (fs::is_symlink(status)) {
      entry.kind = io::TarEntry::Kind::symlink;
      entry.link_target = fs::read_symlink(path).string();
    } else if (fs::is_directory(status)) {
      entry.kind = io::TarEntry::Kind::directory;
    } else {
      entry.size = fs::file_size(path);
      auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
      content = [file](char* into, std::size_t size) {
        file->read(into, static_cast<std::streamsize>(size));
        return static_cast<std::size_t>(file->gcount());
      };
    }
    return true;
  }

 private:
  fs::path folder_;
  std::optional<std::string> separate_;
  std::vector<fs::path> paths_;
  std::size_t position_{0};
};

Built build_one(Host& host, const compose::Project& project, const compose::Service& service, const Limits& limits) {
  const auto& build = *service.build;
  const fs::path folder{build.context};
  if (!fs::is_directory(folder)) {
    throw Failure{Exit::config, fmt::format("the build context \"{}\" of service \"{}\" is no directory", build.context, service.name)};
  }
  engine::docker::BuildOptions options;
  Built built{service.name, engine::docker::image_of(project, service), {}};
  options.tags = {built.image};
  options.tags.insert(options.tags.end(), build.tags.begin(), build.tags.end());
  options.dockerfile = build.dockerfile.empty() ? "Dockerfile" : fs::path{build.dockerfile}.is_absolute() ? fs::path{build.dockerfile}.lexically_relative(folder).string() : build.dockerfile;
  auto separate = separate_dockerfile(build, folder, service.name);
  if (separate) options.dockerfile = other_dockerfile;
  options.target = build.target;
  for (const auto& [name, value] : build.args) {
    if (value) options.args[name] = *value;
  }
  options.labels = build.labels;
  options.labels["com.docker.compose.project"] = project.name;
  options.labels["com.docker.compose.service"] = service.name;
  options.no_cache = build.no_cache;
  options.pull = build.pull;
  options.cache_from = build.cache_from;
  const auto ignore_text = io::read_file_if_there(folder / ".dockerignore");
  auto context = std::make_shared<Context>(folder, IgnoreFile{ignore_text.value_or("")}, options.dockerfile, std::move(separate));
  const auto tar = io::tar_stream([context](io::TarEntry& entry, io::ByteSource& content) { return context->next(entry, content); });
  std::deque<std::string> tail;
  std::string line;
  const auto output = [&](std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n') {
        line += c;
        continue;
      }
      host.reporter().report({Event::Kind::progress, "build", service.name + ": " + line, {}, {}, {}, {}});
      tail.push_back(std::exchange(line, {}));
      if (tail.size() > 15) tail.pop_front();
    }
  };
  host.reporter().report({Event::Kind::started, "build", built.image, {}, {}, {}, {}});
  const auto start = host.clock().steady();
  try {
    built.id = host.api().build_image(tar, options, output, limits);
  } catch (Failure& failure) {
    host.reporter().report({Event::Kind::failed, "build", failure.message(), {tail.begin(), tail.end()}, {}, {}, {}});
    failure.add_context(fmt::format("building \"{}\" of service \"{}\"", built.image, service.name));
    throw;
  }
  host.reporter().report({Event::Kind::done, "build", built.image, {}, std::chrono::duration_cast<Milliseconds>(host.clock().steady() - start), {}, {}});
  return built;
}

void push_one(Host& host, const std::string& image, const Limits& limits) {
  const auto name = engine::docker::parse_image_name(image);
  const auto start = host.clock().steady();
  host.reporter().report({Event::Kind::started, "push", image, {}, {}, {}, {}});
  try {
    host.api().push_image(name, {}, limits);
  } catch (Failure& failure) {
    failure.add_context(fmt::format("pushing \"{}\"", image));
    throw with_login_hint(failure, name.registry);
  }
  host.reporter().report({Event::Kind::done, "push", image, {}, std::chrono::duration_cast<Milliseconds>(host.clock().steady() - start), {}, {}});
}

}  // namespace

std::vector<Built> build_services(Host& host, const compose::Project& project, const std::vector<std::string>& only, bool push, const Limits& limits) {
  std::vector<Built> all;
  for (const auto& name : only) {
    if (project.services.contains(name)) continue;
    std::vector<std::string> names;
    for (const auto& [known, service] : project.services) names.push_back(known);
    throw Failure{Exit::usage, fmt::format("there is no service \"{}\"", name), fmt::format("there are: {}", fmt::join(names, ", "))};
  }
  for (const auto& [name, service] : project.services) {
    if (!service.build || (!only.empty() && std::find(only.begin(), only.end(), name) == only.end())) continue;
    all.push_back(build_one(host, project, service, limits));
    if (push) push_one(host, all.back().image, limits);
  }
  if (all.empty() && !only.empty()) {
    throw Failure{Exit::config, fmt::format("none of these has build: in the compose file: {}", fmt::join(only, ", ")), "give it a build context, or push its image from elsewhere"};
  }
  if (all.empty()) throw Failure{Exit::config, "no service of the compose file has build:", "give it a build context, or push its image from elsewhere"};
  return all;
}

}  // namespace codops::ops

#include "lib/engine/kubernetes/state_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/object_name.hpp"
#include "lib/io/compression.hpp"
#include "lib/io/crypto.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

constexpr std::size_t most_bytes = std::size_t{512} * 1024 * 1024;
constexpr int read_attempts = 5;

void check_state_path(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || ("/" + path + "/").find("/../") != std::string::npos) {
    throw Failure{Exit::bug, fmt::format("\"{}\" is no path of the state", path)};
  }
}

std::size_t names_in(const std::string& path) { return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) + 1; }

// Objects at or below a path, of any kind.
std::string below_selector(const std::string& project, const std::string& path) {
  auto selector = "codops.state=" + label_value(project);
  if (!path.empty()) selector += fmt::format(",codops.state/{}={}", names_in(path), short_hash(path));
  return selector;
}

struct Packed {
  std::string key, bytes;
};

Packed packed(const std::string& content) {
  io::TextWriter small;
  io::ZstdWriter writer{small, {.level = 3}};
  writer.write(content);
  writer.finish();
  if (small.text.size() < content.size()) return {"file.zst", std::move(small.text)};
  return {"file", content};
}

std::string unpacked(const std::string& key, std::string bytes) {
  if (key == "file") return bytes;
  io::TextReader text{bytes};
  io::ZstdReader reader{text};
  return io::read_all(reader, most_bytes);
}

std::optional<std::string> data_of(const json& secret, const char* key) {
  const auto& value = field(secret, {"data", key});
  if (!value.is_string()) return std::nullopt;
  return io::from_base64(value.get_ref<const std::string&>());
}

std::string kind_selector(const char* kind) { return fmt::format(",codops.state/kind={}", kind); }

}  // namespace

SecretStore::SecretStore(Api& api, std::string namespace_, std::string project)
    : api_{api}, namespace_{std::move(namespace_)}, project_{std::move(project)} {}

std::string SecretStore::selector_of(const std::string& path) const { return below_selector(project_, path); }

std::string SecretStore::name_of(const std::string& path) const { return "codops-state-" + short_hash(project_ + "\n" + path); }

json SecretStore::secret(const std::string& name, const std::string& path, const char* kind) const {
  json labels{{"codops.state", label_value(project_)}, {"codops.state/kind", kind}};
  std::size_t depth = 0;
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    labels[fmt::format("codops.state/{}", ++depth)] = short_hash(path.substr(0, end));
    if (end == std::string::npos) break;
  }
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"type", "codops.dev/state"},
          {"metadata", {{"name", name}, {"namespace", namespace_}, {"labels", std::move(labels)}}},
          {"data", {{"path", io::to_base64(path)}}}};
}

void SecretStore::saw(const std::string& path, const json& head) {
  const std::lock_guard lock{mutex_};
  known_[path] = {text_at(head, {"metadata", "resourceVersion"}), field(head, {"data", "parts"}).is_string()};
}

std::optional<std::string> SecretStore::content_of(const json& head, const Limits& limits) {
  for (const char* key : {"file", "file.zst"}) {
    if (auto bytes = data_of(head, key)) return unpacked(key, *std::move(bytes));
  }
  const auto parts = data_of(head, "parts");
  const auto space = parts ? parts->find(' ') : std::string::npos;
  std::size_t count = 0;
  if (parts) std::from_chars(parts->data(), parts->data() + parts->size(), count);
  if (space == std::string::npos || count == 0) throw Failure{Exit::data, fmt::format("Secret {} is not a file of codops' state", text_at(head, {"metadata", "name"}))};
  std::string bytes, key;
  for (std::size_t i = 0; i < count; ++i) {
    const auto name = fmt::format("{}-{}-{}", text_at(head, {"metadata", "name"}), parts->substr(space + 1), i);
    const auto part = api_.find({"v1", "Secret", namespace_, name}, limits);
    if (!part) return std::nullopt;
    for (const char* candidate : {"file", "file.zst"}) {
      if (const auto some = data_of(*part, candidate)) {
        bytes += *some;
        key = candidate;
      }
    }
  }
  return unpacked(key, std::move(bytes));
}

std::optional<std::string> SecretStore::read(const std::string& path, const Limits& limits) {
  check_state_path(path);
  for (int attempt = 0; attempt < read_attempts; ++attempt) {
    const auto head = api_.find({"v1", "Secret", namespace_, name_of(path)}, limits);
    if (!head) {
      const std::lock_guard lock{mutex_};
      known_.erase(path);
      return std::nullopt;
    }
    if (auto content = content_of(*head, limits)) {
      saw(path, *head);
      return content;
    }
  }
  throw Failure{Exit::data, fmt::format("parts of \"{}\" are missing in the state", path)};
}

std::vector<target::StateStore::File> SecretStore::read_all(const std::string& folder, const Limits& limits) {
  if (!folder.empty()) check_state_path(folder);
  const auto prefix = folder.empty() ? std::string{} : folder + "/";
  std::vector<File> files;
  std::vector<std::string> in_parts;
  for (const auto& head : api_.list("v1", "Secret", namespace_, {.labels = below_selector(project_, folder) + kind_selector("file")}, limits)) {
    auto path = data_of(head, "path").value_or("");
    if (!path.starts_with(prefix)) continue;
    if (field(head, {"data", "parts"}).is_string()) {
      in_parts.push_back(std::move(path));
      continue;
    }
    saw(path, head);
    std::string content;
    try {
      content = content_of(head, limits).value_or("");
    } catch (const Failure& failure) {
      // Somebody damaged it: empty, so that its reader says which file it is and goes on with the others.
      if (failure.code() == Exit::deadline) throw;
    }
    files.push_back({std::move(path), std::move(content)});
  }
  for (const auto& path : in_parts) {
    // It may have been removed in between.
    if (auto content = read(path, limits)) files.push_back({path, *std::move(content)});
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

void SecretStore::apply_head(json head, const std::string& path, const Limits& limits) {
  std::string version;
  {
    const std::lock_guard lock{mutex_};
    if (const auto known = known_.find(path); known != known_.end()) version = known->second.version;
  }
  if (!version.empty()) head["metadata"]["resourceVersion"] = version;
  try {
    saw(path, *api_.apply(head, {.force = true}, limits).object);
    return;
  } catch (const ApiError& error) {
    if (version.empty() || (error.status() != 409 && !error.not_found())) throw;
  }
  // Either our own write came through before the connection was lost, or somebody else was here.
  const auto present = api_.find({"v1", "Secret", namespace_, text_at(head, {"metadata", "name"})}, limits);
  if (present && field(*present, {"data"}) != field(head, {"data"})) {
    throw Failure{Exit::failed, fmt::format("\"{}\" in the state was changed by another run", path), "run it again: it starts from what is there now"};
  }
  if (present) {
    saw(path, *present);
    return;
  }
  head["metadata"].erase("resourceVersion");
  saw(path, *api_.apply(head, {.force = true}, limits).object);
}

void SecretStore::write_one(const File& file, const Limits& limits) {
  const auto name = name_of(file.path);
  bool had_parts = false;
  {
    const std::lock_guard lock{mutex_};
    const auto known = known_.find(file.path);
    had_parts = known != known_.end() && known->second.in_parts;
  }
  auto pack = packed(file.content);
  auto head = secret(name, file.path, "file");
  if (pack.bytes.size() <= largest_part) {
    head["data"][pack.key] = io::to_base64(pack.bytes);
    apply_head(std::move(head), file.path, limits);
    // Parts of a file that was never seen here stay until its path is removed: nothing reads them.
    if (had_parts) remove_parts(file.path, {}, limits);
    return;
  }
  const auto content = short_hash(file.content);
  std::size_t count = 0;
  for (std::size_t at = 0; at < pack.bytes.size(); at += largest_part, ++count) {
    auto part = secret(fmt::format("{}-{}-{}", name, content, count), file.path, "part");
    part["data"][pack.key] = io::to_base64(std::string_view{pack.bytes}.substr(at, largest_part));
    api_.apply(part, {.force = true}, limits);
  }
  head["data"]["parts"] = io::to_base64(fmt::format("{} {}", count, content));
  apply_head(std::move(head), file.path, limits);
  remove_parts(file.path, content, limits);
}

void SecretStore::remove_parts(const std::string& path, const std::string& but_content, const Limits& limits) {
  const auto keep = fmt::format("{}-{}-", name_of(path), but_content);
  for (const auto& part : api_.list("v1", "Secret", namespace_, {.labels = below_selector(project_, path) + kind_selector("part")}, limits)) {
    const auto name = text_at(part, {"metadata", "name"});
    const bool of_this = name.starts_with(name_of(path) + "-");
    if (!of_this || (!but_content.empty() && name.starts_with(keep))) continue;
    api_.remove({"v1", "Secret", namespace_, name}, {.uid = text_at(part, {"metadata", "uid"})}, limits);
  }
}

void SecretStore::write(const std::vector<File>& files, const Limits& limits) {
  for (const auto& file : files) check_state_path(file.path);
  if (files.empty()) return;
  in_parallel(files.size() - 1, most_connections, [&](std::size_t index) { write_one(files[index], limits); });
  write_one(files.back(), limits);
}

void SecretStore::remove(const std::vector<std::string>& paths, const Limits& limits) {
  const Resource secrets = well_known_resource("v1", "Secret").value();
  for (const auto& path : paths) check_state_path(path);
  in_parallel(paths.size(), most_connections, [&](std::size_t index) {
    const auto& path = paths[index];
    // The whole collection below it in one call: removing it again removes nothing.
    api_.client().call({.method = "DELETE",
                        .path = secrets.path(namespace_),
                        .query = {{"labelSelector", selector_of(path)}},
                        .what = fmt::format("remove \"{}\" from the state", path),
                        .repeatable = true,
                        .expected = {404}},
                       limits);
    const std::lock_guard lock{mutex_};
    std::erase_if(known_, [&path](const auto& known) { return known.first == path || known.first.starts_with(path + "/"); });
  });
}

}  // namespace codops::engine::kubernetes

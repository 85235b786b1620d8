#include "lib/ops/database.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/objects.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/tar.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

constexpr std::array usual_places{"/app/prisma/migrations", "/usr/src/app/prisma/migrations", "/prisma/migrations", "/app/db/migrations",
                                  "/app/migrations", "/db/migrations"};
constexpr std::uint64_t most_bytes = 64U << 20U;

std::optional<std::string> variable_of(const Secret& spec, const std::string& name) {
  const auto body = Json::parse(spec.reveal());
  if (!body.contains("Env")) return std::nullopt;
  for (const auto& entry : body.at("Env")) {
    const auto text = entry.get<std::string>();
    if (text.size() > name.size() && text[name.size()] == '=' && text.starts_with(name)) return text.substr(name.size() + 1);
  }
  return std::nullopt;
}

// A created, never started container of an image, to look into it.
class ImageView {
 public:
  ImageView(Host& host, const std::string& image, const Limits& limits)
      : api_{host.api()}, name_{fmt::format("{}-look-{}", host.project(), io::to_hex(io::random_bytes(4)))} {
    const Json body{{"Image", image},
                    {"Cmd", {"true"}},
                    {"Labels",
                     {{"com.docker.compose.project", host.project()},
                      {"com.docker.compose.oneoff", "True"},
                      {label_environment, host.environment().name},
                      {label_token, "look"}}}};
    api_.create_container(name_, body, limits);
  }
  ~ImageView() {
    try {
      api_.remove_container(name_, true, true, Limits{}.within(Milliseconds{10'000}));
    } catch (const Failure&) {
      // Harmless: it never runs, and the next prune finds it by its labels.
    }
  }
  ImageView(const ImageView&) = delete;
  ImageView& operator=(const ImageView&) = delete;

  // nullopt: there is no such folder.
  std::optional<std::vector<migrate::File>> folder(const std::string& path, const Limits& limits) {
    std::string tar;
    const auto keep = [&](std::string_view bytes) {
      if (tar.size() + bytes.size() > most_bytes) throw Failure{Exit::data, fmt::format("the migrations in {} are too large", path)};
      tar += bytes;
    };
    if (!api_.get_archive(name_, path, keep, limits)) return std::nullopt;
    std::vector<migrate::File> files;
    const auto top = std::filesystem::path{path}.filename().string() + "/";
    for (auto& entry : io::read_tar(io::bytes_of(tar), most_bytes)) {
      if (!entry.path.starts_with(top) || entry.path.size() == top.size()) continue;
      auto relative = entry.path.substr(top.size());
      if (entry.kind == io::TarEntry::Kind::directory && !relative.ends_with('/')) relative += '/';
      files.push_back({std::move(relative), std::move(entry.content)});
    }
    return files;
  }

 private:
  engine::docker::Api& api_;
  std::string name_;
};

}  // namespace

std::optional<DatabaseAccess> find_database(const Host& host, const Desired& desired, const release::Release& next) {
  const auto& settings = host.environment();
  const auto variable = settings.database.url_variable.empty() ? std::string{"DATABASE_URL"} : settings.database.url_variable;
  for (const auto& service : next.services) {
    if (!settings.migrate.service.empty() && service.name != settings.migrate.service) continue;
    const auto spec = desired.specs.find(service.name);
    if (spec == desired.specs.end()) continue;
    const auto url = variable_of(spec->second, variable);
    if (!url || !(url->starts_with("postgres") || url->find("host=") != std::string::npos)) continue;
    DatabaseAccess access;
    access.service = service.name;
    access.inside = io::postgres::parse_target(*url, fmt::format("{} of {}", variable, service.name));
    if (!settings.migrate.schema.empty()) access.inside.schema = settings.migrate.schema;
    const auto& wanted = settings.database.service.empty() ? access.inside.host : settings.database.service;
    if (const auto* database = next.service(wanted); database != nullptr && !database->members.empty()) {
      access.container = database->members.front().container;
    }
    return access;
  }
  return std::nullopt;
}

void reach(Host& host, DatabaseAccess& access, const Limits& limits) {
  access.target = access.inside;
  if (access.container.empty()) return;
  const auto port = access.inside.port.empty() ? 5432 : std::atoi(access.inside.port.c_str());
  access.endpoint = host.dialer().dial(access.container, static_cast<std::uint16_t>(port), limits);
  if (access.endpoint->unix_socket().empty()) {
    access.target.host = access.endpoint->host();
    access.target.port = std::to_string(access.endpoint->port());
  } else {
    access.target.host = std::filesystem::path{access.endpoint->unix_socket()}.parent_path().string();
  }
}

std::vector<migrate::File> migrations_of(Host& host, const release::ServiceRecord& service, const Limits& limits) {
  const auto& settings = host.environment().migrate;
  if (!settings.path.empty() && settings.image_path.empty()) {
    const auto folder = host.environment().directory / settings.path;
    if (std::filesystem::is_directory(folder)) return migrate::read_folder(folder.string());
  }
  ImageView view{host, service.image_id, limits};
  if (!settings.image_path.empty()) {
    auto files = view.folder(settings.image_path, limits);
    if (!files) {
      throw Failure{Exit::config, fmt::format("the image of \"{}\" has no folder {}", service.name, settings.image_path), "migrate.image_path in codops.yaml"};
    }
    return std::move(*files);
  }
  for (const auto* place : usual_places) {
    if (auto files = view.folder(place, limits); files && !files->empty()) return std::move(*files);
  }
  return {};
}

}  // namespace codops::ops

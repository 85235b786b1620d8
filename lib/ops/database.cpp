#include "lib/ops/database.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/objects.hpp"
#include "lib/migrate/folders.hpp"
#include "lib/migrate/source_archive.hpp"
#include "lib/ops/compose_project.hpp"
#include "lib/ops/deploy.hpp"
#include "lib/ops/image_view.hpp"
#include "lib/ops/images.hpp"
#include "lib/ops/store_kind.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

// Below the image's working directory first, then below the root and the usual ones.
constexpr std::array usual_roots{"/app", "/usr/src/app", "", "/srv/app"};
constexpr std::uint64_t most_bytes = 64U << 20U;

std::vector<std::string> usual_places(const std::optional<engine::docker::ImageDetails>& image) {
  std::vector<std::string> roots(usual_roots.begin(), usual_roots.end());
  if (image && image->workdir.starts_with('/')) {
    auto root = image->workdir;
    while (root.ends_with('/')) root.pop_back();
    std::erase(roots, root);
    roots.insert(roots.begin(), root);
  }
  std::vector<std::string> places;
  for (const auto& root : roots) {
    for (const auto* folder : migrate::usual_folders) places.push_back(root + "/" + folder);
  }
  return places;
}

std::map<std::string, std::string> variables_of(const Secret& spec) {
  const auto body = Json::parse(spec.reveal());
  std::map<std::string, std::string> variables;
  for (const auto& entry : body.value("Env", Json::array())) {
    const auto text = entry.get<std::string>();
    if (const auto equals = text.find('='); equals != std::string::npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::string url_variable(const settings::Environment& environment) {
  return environment.database.url_variable.empty() ? "DATABASE_URL" : environment.database.url_variable;
}

bool names_postgres(std::string_view url) { return url.starts_with("postgres") || url.find("host=") != std::string_view::npos; }

struct Archive {
  std::string tar, path;
};

// nullopt: there is no such thing. A symbolic link is followed, as a monorepo's image may have one.
std::optional<Archive> archive_in(ImageView& image, std::string path, const Limits& limits) {
  for (int links = 0; links < 8; ++links) {
    std::string tar;
    const auto keep = [&](std::string_view bytes) {
      if (tar.size() + bytes.size() > most_bytes) throw Failure{Exit::data, fmt::format("the migrations in {} are too large", path)};
      tar += bytes;
    };
    if (!image.read(path, keep, limits)) return std::nullopt;
    const auto link = migrate::archive_link(tar);
    if (!link) return Archive{std::move(tar), std::move(path)};
    path = (std::filesystem::path{path}.parent_path() / *link).lexically_normal().string();
  }
  return std::nullopt;
}

// nullopt: there is no such folder. What is Flyway's comes with its settings, which may be above it.
std::optional<std::vector<migrate::File>> folder_in(ImageView& image, const std::string& path, const Limits& limits) {
  const auto found = archive_in(image, path, limits);
  if (!found) return std::nullopt;
  auto files = migrate::read_archive(found->tar);
  if (!migrate::has_flyway_scripts(files)) return files;
  for (const auto& place : migrate::flyway_settings_places(found->path)) {
    const auto settings = archive_in(image, place, limits);
    auto content = settings ? migrate::archived_file(settings->tar) : std::nullopt;
    if (!content) continue;
    migrate::add_flyway_settings(place, std::move(*content), files);
    break;
  }
  return files;
}

}  // namespace

std::optional<DatabaseAccess> find_database(const Host& host, const Desired& desired, const release::Release& next) {
  const auto& settings = host.environment();
  const auto variable = url_variable(settings);
  const auto access_to = [&](const std::string& service, const std::string& url, const std::string& named) {
    DatabaseAccess access;
    access.service = service;
    access.inside = io::postgres::parse_target(url, fmt::format("{} of {}", named, service));
    if (!settings.migrate.schema.empty()) access.inside.schema = settings.migrate.schema;
    const auto& wanted = settings.database.service.empty() ? access.inside.host : settings.database.service;
    if (const auto* database = next.service(wanted); database != nullptr && !database->members.empty()) {
      access.container = database->members.front().container;
    }
    return access;
  };
  const auto kind = [&](const std::string& name) -> std::optional<io::Store> {
    const auto* service = next.service(name);
    const auto store = service == nullptr ? io::Store::none : store_of_image(service->image);
    return store == io::Store::none ? std::nullopt : std::optional{store};
  };
  std::optional<DatabaseAccess> by_pieces;
  for (const auto& service : next.services) {
    if (!settings.migrate.service.empty() && service.name != settings.migrate.service) continue;
    const auto spec = desired.specs.find(service.name);
    if (spec == desired.specs.end()) continue;
    const auto variables = variables_of(spec->second);
    if (const auto url = variables.find(variable); url != variables.end() && names_postgres(url->second)) return access_to(service.name, url->second, variable);
    if (by_pieces || store_of_image(service.image) != io::Store::none) continue;
    const auto look = [&](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional{found->second};
    };
    if (const auto pieces = in_pieces(io::Store::postgres, look, kind, {})) by_pieces = access_to(service.name, pieces->url, pieces->variable);
  }
  return by_pieces;
}

void go_by(const target::Endpoint& endpoint, io::postgres::Target& target) {
  if (target.shown.empty() && !target.host.empty()) target.shown = target.host + ":" + (target.port.empty() ? "5432" : target.port);
  if (endpoint.unix_socket().empty()) {
    target.host = endpoint.host();
    target.port = std::to_string(endpoint.port());
  } else {
    target.host = std::filesystem::path{endpoint.unix_socket()}.parent_path().string();
    target.port = "5432";
  }
}

void reach(Host& host, DatabaseAccess& access, const Limits& limits) {
  access.target = access.inside;
  if (access.container.empty()) return;
  const auto port = access.inside.port.empty() ? 5432 : std::atoi(access.inside.port.c_str());
  access.endpoint = host.dialer().dial(access.container, static_cast<std::uint16_t>(port), limits);
  go_by(*access.endpoint, access.target);
}

std::optional<ReachedContainer> reach_service(target::Containers& offered, target::Dialer& dialer, const std::string& service, io::postgres::Target& target, const Limits& limits) {
  const auto containers = offered.list(service, false, limits);
  const auto running = std::find_if(containers.begin(), containers.end(), [](const auto& one) { return one.state == target::RunState::running; });
  if (running == containers.end()) return std::nullopt;
  const auto port = target.port.empty() ? 5432 : std::atoi(target.port.c_str());
  ReachedContainer reached{*running, dialer.dial(running->id, static_cast<std::uint16_t>(port), limits)};
  go_by(*reached.endpoint, target);
  return reached;
}

std::optional<DefinedUrl> url_in_definitions(const compose::Project& project, const settings::Environment& environment, const std::string& variable) {
  for (const auto& [name, service] : project.services) {
    if (!environment.migrate.service.empty() && name != environment.migrate.service) continue;
    const auto found = service.environment.find(variable);
    if (found == service.environment.end() || !found->second || !names_postgres(*found->second)) continue;
    return DefinedUrl{name, *found->second};
  }
  return std::nullopt;
}

std::optional<DefinedUrl> pieces_in_definitions(const compose::Project& project, const settings::Environment& environment, bool asked) {
  for (const auto& [name, service] : project.services) {
    if (!environment.migrate.service.empty() && name != environment.migrate.service) continue;
    if (auto pieces = in_pieces(io::Store::postgres, project, service, asked)) return DefinedUrl{name, std::move(pieces->url)};
  }
  return std::nullopt;
}

std::vector<migrate::File> migrations_of_version(Host& host, const std::string& version, bool may_pull, const Limits& limits) {
  const auto& environment = host.environment();
  require_version(version);
  const auto project = load_compose(environment, version, host.shell());
  auto service = environment.migrate.service;
  if (service.empty()) {
    auto url = url_in_definitions(project, environment, url_variable(environment));
    if (!url) url = pieces_in_definitions(project, environment, false);
    if (!url) {
      throw Failure{Exit::config, fmt::format("no service of the compose file has {}, or DB_HOST and its like, so it is not known whose image has the migrations", url_variable(environment)),
                    "migrate: {service: SERVICE} in codops.yaml"};
    }
    service = url->service;
  } else if (!project.services.contains(service)) {
    throw Failure{Exit::config, fmt::format("migrate.service names \"{}\", which the compose file does not have", service)};
  }
  const auto images = find_images(host, project, {service}, limits);
  if (may_pull) pull_images(host, images, limits);
  if (!may_pull && images.front().must_pull && !images.front().on_engine) {
    throw Failure{Exit::failed, fmt::format("the image \"{}\" is not on the engine yet", images.front().name), fmt::format("docker pull {}", images.front().name)};
  }
  release::ServiceRecord record;
  record.name = service;
  record.image_id = facts_of(host, images, limits).at(service).id;
  auto files = migrations_of(host, record, limits);
  if (files.empty()) {
    throw Failure{Exit::config, fmt::format("no migrations are found in \"{}\"", images.front().name), "migrate: {image_path: /app/prisma/migrations} in codops.yaml says where they are"};
  }
  return files;
}

std::vector<migrate::File> migrations_of(Host& host, const release::ServiceRecord& service, const Limits& limits) {
  const auto& settings = host.environment().migrate;
  if (!settings.path.empty() && settings.image_path.empty()) {
    const auto folder = host.environment().directory / settings.path;
    if (std::filesystem::is_directory(folder)) return migrate::read_folder(folder.string());
  }
  ImageView view{host.api(), host.project(), host.environment().name, service.image_id, limits};
  if (!settings.image_path.empty()) {
    auto files = folder_in(view, settings.image_path, limits);
    if (!files) {
      throw Failure{Exit::config, fmt::format("the image of \"{}\" has no folder {}", service.name, settings.image_path), "migrate.image_path in codops.yaml"};
    }
    return std::move(*files);
  }
  for (const auto& place : usual_places(host.api().find_image(service.image_id, limits))) {
    // Others' migrations (knex, alembic) may be in a folder of that name.
    if (auto files = folder_in(view, place, limits); files && migrate::recognisable(*files)) return std::move(*files);
  }
  return {};
}

}  // namespace codops::ops

#include "lib/migrate/source.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/migrate/script_error.hpp"
#include "lib/migrate/source_layouts.hpp"

namespace codops::migrate {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t largest_file = 256U << 20U;
constexpr int deepest = 30;

// False: `directory` has no migration.sql. Hundreds of applied scripts need not be read to see that nothing is pending.
bool add_prisma_script(const fs::path& directory, const std::string& name, std::vector<File>& files) {
  auto path = directory.string() + "/migration.sql";
  if (!fs::is_regular_file(path)) return false;
  files.push_back({name + "/migration.sql", {}, std::move(path)});
  return true;
}

// Flyway's own settings, and those of one script beside it.
void find_flyway_settings(const std::string& folder, std::vector<File>& files) {
  for (const auto& entry : fs::directory_iterator{folder}) {
    const auto name = entry.path().filename().string();
    if (entry.is_regular_file() && name.ends_with(".sql.conf")) files.push_back({name, io::read_file(entry.path(), largest_file)});
  }
  for (const auto& place : flyway_settings_places(fs::absolute(folder).string())) {
    if (!fs::is_regular_file(place)) continue;
    add_flyway_settings(place, io::read_file(place, largest_file), files);
    return;
  }
}

// Below a folder that is none of Prisma's: what is in it, and deeper down what is Flyway's, whose locations are searched to the bottom.
void add_inner_scripts(const fs::path& directory, const std::string& name, std::vector<File>& files) {
  for (auto inner = fs::recursive_directory_iterator{directory, fs::directory_options::follow_directory_symlink}; inner != fs::recursive_directory_iterator{}; ++inner) {
    if (inner.depth() > deepest) throw Failure{Exit::data, "the folder \"" + name + "\" has folders in folders without an end", "a symbolic link may lead back to where it is"};
    if (!inner->is_regular_file() || inner->path().extension() != ".sql") continue;
    File file{name + "/" + inner->path().lexically_relative(directory).generic_string(), {}};
    if (inner.depth() > 0 && !fits_flyway(file)) continue;
    file.content = io::read_file(inner->path(), largest_file);
    files.push_back(std::move(file));
  }
}

struct Shape {
  Layout layout;
  std::string_view name;
  bool (*fits)(const File&);
  Source (*read)(const std::vector<File>&);
};

constexpr std::array shapes{
    Shape{Layout::prisma, "prisma", fits_prisma, read_prisma},
    Shape{Layout::golang_migrate, "golang-migrate", fits_golang_migrate, read_golang_migrate},
    Shape{Layout::flyway, "flyway", fits_flyway, read_flyway},
    Shape{Layout::dbmate, "dbmate", fits_dbmate, read_dbmate},
};

const Shape& shape_of(Layout layout) {
  return *std::find_if(shapes.begin(), shapes.end(), [&](const Shape& shape) { return shape.layout == layout; });
}

std::string listed(const std::vector<const Shape*>& found) {
  std::string result;
  for (const auto* shape : found) result.append(result.empty() ? "" : " and ").append(shape->name);
  return result;
}

const Shape& recognised_shape(const std::vector<File>& files) {
  std::vector<const Shape*> found;
  for (const auto& shape : shapes) {
    if (std::any_of(files.begin(), files.end(), shape.fits)) found.push_back(&shape);
  }
  if (found.size() == 1) return *found.front();
  if (found.empty()) {
    throw Failure{Exit::data, "no migrations are recognised among " + std::to_string(files.size()) + " files",
                  "Prisma: NAME/migration.sql; dbmate: 20240101_x.sql with \"-- migrate:up\"; golang-migrate: "
                  "1_x.up.sql; Flyway: V1__x.sql"};
  }
  throw Failure{Exit::data, "the migrations folder has files of " + listed(found), "name one: \"migrate: {source: prisma}\" in codops.yaml, or --source prisma"};
}

void require_plain_names(const Source& source) {
  for (const auto& migration : source.migrations) {
    for (const auto& name : {migration.name, migration.path}) {
      if (std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) continue;
      throw Failure{Exit::data, "the name of the migration \"" + printable(name) + "\" has a control character", "rename it"};
    }
  }
}

void require_distinct(const Source& source) {
  std::map<std::string, std::string_view> seen;
  for (const auto& migration : source.migrations) {
    const auto [first, is_new] = seen.emplace(matching_key(source.layout, migration.key), migration.path);
    if (!is_new) {
      throw Failure{Exit::data, "two migrations have the version \"" + migration.key + "\": \"" + std::string{first->second} + "\" and \"" +
                                    migration.path + "\""};
    }
  }
}

}  // namespace

std::vector<std::string> flyway_settings_places(const std::string& folder) {
  std::vector<std::string> places;
  auto place = fs::path{folder}.lexically_normal();
  if (place.filename().empty()) place = place.parent_path();
  for (int above = 0; above < 6; ++above) {
    for (const auto* name : {"flyway.conf", "conf/flyway.conf", "flyway.toml"}) places.push_back((place / name).string());
    if (!place.has_relative_path()) break;
    place = place.parent_path();
  }
  return places;
}

void add_flyway_settings(const std::string& place, std::string content, std::vector<File>& files) {
  auto name = fs::path{place}.filename().string();
  std::erase_if(files, [](const File& file) { return file.path == "flyway.conf" || file.path == "flyway.toml"; });
  files.push_back({std::move(name), std::move(content)});
}

std::string_view name_of(Layout layout) { return shape_of(layout).name; }

std::optional<Layout> layout_named(std::string_view name) {
  for (const auto& shape : shapes) {
    if (shape.name == name) return shape.layout;
  }
  return std::nullopt;
}

bool recognisable(const std::vector<File>& files) {
  return std::any_of(shapes.begin(), shapes.end(), [&](const Shape& shape) { return std::any_of(files.begin(), files.end(), shape.fits); });
}

bool has_flyway_scripts(const std::vector<File>& files) { return std::any_of(files.begin(), files.end(), fits_flyway); }

Source recognise(const std::vector<File>& files, std::optional<Layout> named) {
  const auto& shape = named ? shape_of(*named) : recognised_shape(files);
  auto source = shape.read(files);
  source.layout = shape.layout;
  require_plain_names(source);
  require_distinct(source);
  return source;
}

Migration loaded(Migration migration) {
  if (!migration.on_disk.empty()) migration.script = io::read_file(std::exchange(migration.on_disk, {}), largest_file);
  const auto down = std::exchange(migration.down_on_disk, {});
  if (!down.empty() && fs::is_regular_file(down)) migration.down = io::read_file(down, largest_file);
  return migration;
}

std::vector<File> read_folder(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw Failure{Exit::data, "there is no migrations folder \"" + folder + "\"", "name it: \"migrate: {path: PATH}\" in codops.yaml, or --folder PATH"};
  }
  std::vector<File> files;
  for (const auto& entry : fs::directory_iterator{folder}) {
    const auto name = entry.path().filename().string();
    if (entry.is_directory()) {
      // A hidden folder is Prisma's too when it has a script; else an editor's.
      const bool prismas = add_prisma_script(entry.path(), name, files);
      if (!prismas && name.starts_with('.')) continue;
      files.push_back({name + "/", {}});
      if (!prismas) add_inner_scripts(entry.path(), name, files);
    } else if (name.starts_with('.')) {
      continue;
    } else if (entry.is_regular_file() && (entry.path().extension() == ".sql" || entry.path().extension() == ".toml")) {
      files.push_back({name, io::read_file(entry.path(), largest_file)});
    }
  }
  if (std::any_of(files.begin(), files.end(), fits_flyway)) find_flyway_settings(folder, files);
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

}  // namespace codops::migrate

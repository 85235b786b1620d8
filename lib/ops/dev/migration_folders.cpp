// Which folders of migrations a checkout has, and which database each is for: the one that its own program's .env names. Two never go
// to one database, whose history could only be one folder's.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/migrate/folders.hpp"
#include "lib/migrate/script_error.hpp"
#include "lib/migrate/source.hpp"
#include "lib/ops/dev/workspace.hpp"
#include "lib/scaffold/dev/env_order.hpp"

namespace codops::ops::dev {
namespace {

namespace fs = std::filesystem;
using namespace scaffold::dev;

struct Word {
  std::string url, variable, file;
  std::string named() const { return fmt::format("{} in {}", variable, file); }
};

struct Folder {
  std::string path, program;     // "users/prisma/migrations", "users"
  std::string variable;          // that has its database's URL
  bool by_schema{};              // schema.prisma says so
  std::optional<Word> word{};    // what the program's files say; nullopt: nothing
};

std::string usual_variable(const Workspace& workspace) {
  const auto& setting = workspace.environment.database.url_variable;
  return setting.empty() ? "DATABASE_URL" : setting;
}

// NAME of `url = env("NAME")` in a Prisma schema; empty: it has none.
std::string variable_of_schema(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    std::erase_if(line, [](unsigned char c) { return std::isspace(c) != 0; });
    constexpr std::string_view begin{"url=env(\""};
    if (line.starts_with(begin)) return line.substr(begin.size(), line.find('"', begin.size()) - begin.size());
  }
  return {};
}

// One file, or one of several in a folder of that name.
std::string schema_variable(const fs::path& prisma) {
  std::vector<fs::path> files{prisma / "schema.prisma"};
  std::error_code error;
  for (const auto& folder : {prisma, prisma / "schema"}) {
    for (auto entry = fs::directory_iterator{folder, error}; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
      if (entry->path().extension() == ".prisma") files.push_back(entry->path());
    }
  }
  for (const auto& file : files) {
    try {
      const auto text = io::read_file_if_there(file);
      if (auto name = text ? variable_of_schema(*text) : std::string{}; !name.empty()) return name;
    } catch (const Failure&) {
      // Prisma's to tell.
    }
  }
  return {};
}

// Other tools' folders are called so too. What can't be read is told by its step.
bool is_recognised(const Workspace& workspace, const fs::path& path) {
  if (migrate::layout_named(workspace.environment.migrate.source)) return true;
  try {
    return migrate::recognisable(migrate::read_folder(path.string()));
  } catch (const Failure&) {
    return true;
  }
}

std::string program_of(std::string_view folder) {
  for (const std::string_view usual : migrate::folders_of_a_program) {
    if (folder == usual) return {};
    if (folder.ends_with(usual) && folder[folder.size() - usual.size() - 1] == '/') return std::string{folder.substr(0, folder.size() - usual.size() - 1)};
  }
  return {};
}

std::vector<Folder> find_folders(Workspace& workspace) {
  std::vector<Folder> found;
  std::set<fs::path> known;
  const auto look = [&](const std::string& folder, const std::string& program) {
    std::error_code error;
    const auto path = workspace.project / folder;
    if (!fs::is_directory(path, error) || !known.insert(fs::weakly_canonical(path, error)).second || fs::is_empty(path, error)) return;
    if (!is_recognised(workspace, path)) {
      if (workspace.environment.setup_dev.generate.empty()) note_once(workspace, fmt::format("\"{}\" has no migrations of Prisma, dbmate, golang-migrate or Flyway, and is left to its own tool; setup_dev.generate in codops.yaml may run it", folder));
      return;
    }
    const auto schema = folder.ends_with("prisma/migrations") ? schema_variable(path.parent_path()) : std::string{};
    found.push_back({folder, program, schema.empty() ? usual_variable(workspace) : schema, !schema.empty() && schema != usual_variable(workspace)});
  };
  for (const auto* usual : migrate::usual_folders) look(usual, program_of(usual));
  std::set<std::string> programs;
  for (const auto& package : workspace.packages) programs.insert(package.directory);
  for (const auto& file : workspace.env) programs.insert(fs::path{file.path}.parent_path().string());
  if (workspace.environment.setup_dev.directories.empty()) {
    for (auto& program : program_folders(workspace.project)) programs.insert(std::move(program));
  }
  for (const auto& program : programs) {
    for (const auto* folder : migrate::folders_of_a_program) look(program.empty() ? folder : fmt::format("{}/{}", program, folder), program);
  }
  return found;
}

// The nearer of the URL and the pieces.
std::optional<Word> word_of(const Workspace& workspace, const Folder& folder) {
  const auto url = named_in(workspace.env, folder.variable, folder.program);
  const auto depth = [](const std::string& file) { return fs::path{file}.parent_path().string().size(); };
  if (!folder.by_schema) {
    const auto parts = parts_in(workspace, Store::postgres, folder.program);
    const auto named = parts ? named_in(workspace.env, parts->database.empty() ? parts->first() : parts->database, folder.program) : std::nullopt;
    if (named && (!url || depth(named->file) > depth(url->file)) && other_server(workspace, Store::postgres, {*parts, named->file}).empty()) return Word{parts->url, parts->database.empty() ? parts->first() : parts->database, named->file};
  }
  return url ? std::optional{Word{url->value, folder.variable, url->file}} : std::nullopt;
}

// `codops migrate VERB` with these words means this folder and this database, typed in the project's folder.
std::string subject_of(const Workspace& workspace, const Folder& folder, const std::string& file, bool by_url) {
  const auto where = fs::path{file}.parent_path().string();
  std::string text = "development";
  if (!where.empty()) text += " -C " + migrate::shell_word(where);
  const auto in_place = where.empty() ? folder.path : folder.path.starts_with(where + "/") ? folder.path.substr(where.size() + 1) : std::string{};
  std::string first;  // what the verb would find there by itself
  for (const auto* usual : migrate::usual_folders) {
    std::error_code error;
    if (first.empty() && fs::is_directory(workspace.project / where / usual, error)) first = usual;
  }
  if (in_place != first || first.empty()) text += " --folder " + migrate::shell_word(folder.path);
  if (by_url && folder.variable != usual_variable(workspace)) text += " --set database.url_variable=" + folder.variable;
  return text;
}

std::string schema_of(const io::postgres::Target& target) { return target.schema.empty() ? "public" : target.schema; }

class Choice {
 public:
  explicit Choice(Workspace& workspace) : workspace_{workspace} {
    try {
      main_ = workspace.database();
    } catch (const Failure&) {
      // Its step tells what is wrong with it.
    }
  }

  void take(const Folder& folder) {
    const auto& word = *folder.word;
    // Whatever it says: its own step tells what is wrong with it.
    if (word.url == workspace_.url(workspace_.postgres)) {
      MigrationPlan plan;
      plan.folder = folder.path;
      plan.subject = subject_of(workspace_, folder, word.file, true);
      plan.named = word.named();
      plan.own = true;
      add(folder, std::move(plan), {});
      return;
    }
    const auto place = url_place(word.url);
    const auto server = place ? own_server(workspace_, *place) : std::nullopt;
    if (!server) {
      const bool another = place && store_of_scheme(place->scheme) != Store::postgres;
      note_once(workspace_, fmt::format("migrations of {} are not applied: {} leads to {}; by hand: codops migrate {}", folder.path, word.named(),
                                        !place ? "no place that can be read" : another ? fmt::format("\"{}\"", place->scheme) : fmt::format("{}:{}, which is no server of this checkout", place->host, place->port.empty() ? "5432" : place->port),
                                        subject_of(workspace_, folder, word.file, true)));
      return;
    }
    MigrationPlan plan;
    plan.folder = folder.path;
    plan.subject = subject_of(workspace_, folder, word.file, true);
    plan.named = word.named();
    plan.url = word.url;
    if (!server->main) {
      plan.host = server->host;
      plan.port = server->port;
      plan.server = server->step;
    }
    try {
      const auto target = workspace_.database_of(plan);
      plan.own = server->main && main_ && target.database == main_->database && schema_of(target) == schema_of(*main_);
      add(folder, std::move(plan), fmt::format("{} {} {}", server->step, target.database, schema_of(target)));
    } catch (const Failure& failure) {
      note_once(workspace_, fmt::format("migrations of {} are not applied: {}", folder.path, failure.message()));
    }
  }

  // Nothing of its own says which database it is for: the checkout's own, where that is nobody else's.
  void take_wordless(const Folder& folder) {
    MigrationPlan plan;
    plan.folder = folder.path;
    plan.own = true;
    if (!workspace_.postgres.file.empty()) plan.named = fmt::format("{} in {}", workspace_.postgres.variable, workspace_.postgres.file);
    plan.subject = subject_of(workspace_, folder, workspace_.postgres.file, false);
    const bool guessed = !folder.by_schema && workspace_.postgres.file.find('/') != std::string::npos && main_ && !other_databases(workspace_, *main_).empty();
    if (folder.by_schema && !taken_.empty()) {
      cannot_tell(folder, fmt::format("no .env file has {}, which schema.prisma names", folder.variable));
    } else if (add(folder, std::move(plan), {}) && guessed) {
      note_once(workspace_, fmt::format("migrations of {} go to \"{}\" ({} in {}), the first that is named: {} in .env would say another", folder.path, main_->database, workspace_.postgres.variable, workspace_.postgres.file, folder.variable));
    }
  }

 private:
  bool add(const Folder& folder, MigrationPlan plan, const std::string& database) {
    const auto [at, is_new] = taken_.emplace(plan.own ? std::string{} : database, folder.path);
    if (!is_new) {
      cannot_tell(folder, fmt::format("{} is what those of {} go to, and a database has one history", plan.named.empty() ? "the checkout's database" : plan.named, at->second));
      return false;
    }
    plan.step = plan.own ? "migrate" : "migrate:" + (folder.program.empty() ? folder.path : folder.program);
    for (const auto& other : workspace_.migrations) {
      if (other.step == plan.step) plan.step = "migrate:" + folder.path;
    }
    workspace_.migrations.push_back(std::move(plan));
    return true;
  }

  void cannot_tell(const Folder& folder, const std::string& why) {
    note_once(workspace_, fmt::format("migrations of {} are not applied, as which database they are for can't be told: {}. {} in {} would say it; by hand: codops migrate development --folder {} --database-url-env NAME", folder.path, why,
                                      folder.variable, folder.program.empty() ? ".env" : folder.program + "/.env", migrate::shell_word(folder.path)));
  }

  Workspace& workspace_;
  std::optional<io::postgres::Target> main_;
  std::map<std::string, std::string> taken_;  // a database, and whose it is; empty: the checkout's own
};

}  // namespace

void plan_migrations(Workspace& workspace) {
  workspace.migrations.clear();
  const auto& settings = workspace.environment.migrate;
  if (!workspace.postgres.wanted) return;
  if (!settings.path.empty()) {
    MigrationPlan plan;
    plan.folder = settings.path;
    plan.step = "migrate";
    plan.own = true;
    workspace.migrations.push_back(std::move(plan));
    return;
  }
  if (!settings.enabled) return;
  auto folders = find_folders(workspace);
  for (auto& folder : folders) folder.word = word_of(workspace, folder);
  Choice choice{workspace};
  for (const auto& folder : folders) {
    if (folder.word) choice.take(folder);
  }
  for (const auto& folder : folders) {
    if (!folder.word) choice.take_wordless(folder);
  }
  std::stable_sort(workspace.migrations.begin(), workspace.migrations.end(), [](const MigrationPlan& a, const MigrationPlan& b) { return a.own > b.own; });
}

}  // namespace codops::ops::dev

#include "lib/compose/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace codops::compose {

namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t largest_file = 16U << 20U;

std::vector<text::Assignment> read_assignments(const std::string& file, const text::Lookup& outside,
                                               std::vector<std::string>& warnings) {
  const auto on_unset = [&](std::string_view name) {
    warnings.push_back(fmt::format("{}: the variable \"{}\" is not set, it is replaced by nothing", file, name));
  };
  return text::parse_dotenv(read_whole(file, "the environment file"), file, outside, on_unset);
}

}  // namespace

text::Lookup lookup_in(const Variables& variables) {
  return [&variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string{name});
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

std::string read_whole(const std::string& path, std::string_view what) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw Failure{Exit::config, fmt::format("{} \"{}\" does not exist", what, path)};
  if (fs::is_directory(status)) throw Failure{Exit::config, fmt::format("{} \"{}\" is a folder", what, path)};
  if (fs::is_regular_file(status) && fs::file_size(path, error) > largest_file)
    throw Failure{Exit::config, fmt::format("{} \"{}\" is larger than 16 MiB", what, path)};
  std::ifstream in{path, std::ios::binary};
  if (!in) throw Failure{Exit::config, fmt::format("{} \"{}\" can't be read: {}", what, path, std::strerror(errno))};
  std::string content;
  std::array<char, 16384> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    content.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (content.size() > largest_file)
      throw Failure{Exit::config, fmt::format("{} \"{}\" is larger than 16 MiB", what, path)};
  }
  return content;
}

Variables with_env_files(const Variables& base, const std::vector<std::string>& files,
                         std::vector<std::string>& warnings) {
  Variables from_files;
  const text::Lookup outside = [&](std::string_view name) -> std::optional<std::string> {
    if (auto found = lookup_in(base)(name)) return found;
    return lookup_in(from_files)(name);
  };
  for (const auto& file : files) {
    for (auto& line : read_assignments(file, outside, warnings)) {
      if (line.value) from_files[line.name] = *line.value;
    }
  }
  auto all = base;
  all.merge(from_files);
  return all;
}

ProjectEnvironment project_environment(const LoadOptions& options, const std::string& project_dir,
                                       std::vector<std::string>& warnings) {
  ProjectEnvironment made;
  for (const auto& file : options.env_files) made.files.push_back(fs::absolute(file).lexically_normal().string());
  std::error_code error;
  const auto standard = (fs::path{project_dir} / ".env").string();
  if (made.files.empty() && fs::is_regular_file(standard, error)) made.files.push_back(standard);

  auto shell = options.environment;
  for (const auto& [name, value] : options.extra) shell[name] = value;
  if (!options.env_file_wins) {
    made.values = with_env_files(shell, made.files, warnings);
    return made;
  }
  // The files win: hide what they set from the shell, so that values made of others see the files' too.
  auto visible = shell;
  const auto from_shell = [&](const std::string& name) {
    return options.extra.contains(name) ||
           std::find(options.from_shell.begin(), options.from_shell.end(), name) != options.from_shell.end();
  };
  std::vector<std::string> ignored;
  for (const auto& file : made.files) {
    for (const auto& line : read_assignments(file, lookup_in(shell), ignored)) {
      if (line.value && !from_shell(line.name)) visible.erase(line.name);
    }
  }
  // `NAME` alone in a file asks for the shell's value.
  for (const auto& file : made.files) {
    for (const auto& line : read_assignments(file, text::Lookup{[](std::string_view) { return std::nullopt; }}, ignored)) {
      if (!line.value && shell.contains(line.name)) visible[line.name] = shell.at(line.name);
    }
  }
  made.values = with_env_files(visible, made.files, warnings);
  for (const auto& [name, value] : shell) {
    if (!visible.contains(name) && made.values.at(name) != value) made.overridden.push_back(name);
  }
  return made;
}

}  // namespace codops::compose

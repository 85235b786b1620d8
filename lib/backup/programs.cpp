#include "lib/backup/programs.hpp"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lib/base/failure.hpp"
#include "lib/io/postgres_environment.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

constexpr int password_fd = 9, file_fd = 10;

// ".pgpass": colons and backslashes of the password are escaped; the first four fields match anything.
std::string password_line(const std::string& password) {
  std::string line = "*:*:*:*:";
  for (const char c : password) {
    if (c == ':' || c == '\\') line += '\\';
    line += c;
  }
  return line + '\n';
}

constexpr std::string_view the_file = "{file}";

// "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
struct Version {
  std::string text;
  int major{};
};
std::optional<Version> parse_version(std::string_view output) {
  const auto at = output.find(") ");
  if (at == std::string_view::npos) return std::nullopt;
  auto text = output.substr(at + 2);
  text = text.substr(0, text.find_first_of(" \n"));
  const int major = std::atoi(std::string{text}.c_str());
  if (major < 9) return std::nullopt;
  return Version{std::string{text}, major};
}

class HostPrograms final : public Programs {
 public:
  HostPrograms(fs::path folder, Version version, io::postgres::Target target)
      : folder_{std::move(folder)}, version_{std::move(version)}, target_{std::move(target)} {}

  std::string describe() const override { return fmt::format("PostgreSQL {} of this machine", version_.text); }
  int major() const override { return version_.major; }
  bool parallel() const override { return true; }

  io::Outcome run(const Call& call, const Limits& limits) override {
    io::Program program{{(folder_ / call.program).string()}, environment(), {}};
    auto arguments = call.arguments;
    std::replace(arguments.begin(), arguments.end(), std::string{the_file}, fmt::format("/proc/self/fd/{}", file_fd));
    if (call.connects) {
      auto target = target_;
      if (!call.session.empty()) {
        auto& options = target.options["options"];
        if (options.empty()) options = io::postgres::variables_for(target_)["PGOPTIONS"];
        options += call.session;
      }
      arguments.push_back("--dbname=" + connection_text(target, call.database.empty() ? target_.database : call.database));
      arguments.emplace_back("--no-password");
    }
    program.argv.insert(program.argv.end(), arguments.begin(), arguments.end());
    io::Fd password, file;
    if (const auto secret = password_of(); !secret.empty()) {
      password = io::memory_file(password_line(secret.reveal()));
      program.pass.push_back({password.get(), password_fd});
      program.env["PGPASSFILE"] = fmt::format("/proc/self/fd/{}", password_fd);
    }
    if (call.file.data() != nullptr) {
      file = io::memory_file(call.file);
      program.pass.push_back({file.get(), file_fd});
    } else if (call.descriptor >= 0) {
      program.pass.push_back({call.descriptor, file_fd});
    }
    return io::run(program, call.streams, limits);
  }

 private:
  Secret password_of() const {
    if (!target_.password.empty()) return target_.password;
    auto given = io::postgres::variables_for(target_);
    return Secret{given["PGPASSWORD"]};
  }

  std::map<std::string, std::string> environment() const {
    auto environment = io::usual_environment();
    environment.merge(io::environment_of({"PGSERVICEFILE", "PGSYSCONFDIR"}));
    environment.merge(io::postgres::variables_for(target_));
    environment.erase("PGPASSWORD");
    environment["PGAPPNAME"] = "codops";
    environment["PGCONNECT_TIMEOUT"] = "10";
    environment["LC_ALL"] = "C";
    return environment;
  }

  fs::path folder_;
  Version version_;
  io::postgres::Target target_;
};

class ContainerPrograms final : public Programs {
 public:
  ContainerPrograms(ContainerPlace place, Version version, io::postgres::Target target)
      : place_{std::move(place)}, version_{std::move(version)}, target_{std::move(target)} {}

  std::string describe() const override { return fmt::format("PostgreSQL {} in \"{}\"", version_.text, place_.name); }
  int major() const override { return version_.major; }
  bool parallel() const override { return false; }

  io::Outcome run(const Call& call, const Limits& limits) override {
    target::ExecRequest request;
    request.argv = {call.program};
    // Inside, the server is on its own local socket whatever address we reach it at.
    auto arguments = call.arguments;
    // Without a file's name pg_restore reads its stdin, in order; one that is given it opens, and wants to seek in.
    std::erase(arguments, the_file);
    if (call.connects) {
      arguments.push_back("--username=" + target_.user);
      // pg_dumpall takes no bare name, and to the others one with a '=' would be a connection string.
      arguments.push_back("--dbname=" + connection_text(io::postgres::Target{}, call.database.empty() ? target_.database : call.database));
      arguments.emplace_back("--no-password");
      // Its sessions begin with the container's own PGTZ and PGOPTIONS, which we don't see.
      const auto session = call.copies ? copy_options() : call.session;
      if (!session.empty()) request.env.emplace("PGOPTIONS", Secret{session});
      if (!target_.password.empty()) request.env.emplace("PGPASSWORD", target_.password);
    }
    request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
    std::string tail;
    target::ExecStreams streams{call.streams.in, call.streams.out, [&](std::string_view bytes) {
                                  tail.append(bytes);
                                  if (tail.size() > 8192) tail.erase(0, tail.size() - 4096);
                                  if (call.streams.err) call.streams.err(bytes);
                                }};
    auto rest = call.file;
    if (rest.data() != nullptr) {
      streams.in = [&rest](char* into, std::size_t size) {
        const auto taken = rest.copy(into, size);
        rest.remove_prefix(taken);
        return taken;
      };
    } else if (call.descriptor >= 0) {
      streams.in = [descriptor = call.descriptor, at = off_t{0}](char* into, std::size_t size) mutable {
        const auto taken = ::pread(descriptor, into, size, at);
        if (taken < 0) throw Failure{Exit::data, fmt::format("the dump can't be read: {}", std::strerror(errno))};
        at += taken;
        return static_cast<std::size_t>(taken);
      };
    }
    const int code = place_.containers->exec(place_.id, request, streams, limits);
    return {{code, 0}, std::move(tail)};
  }

 private:
  ContainerPlace place_;
  Version version_;
  io::postgres::Target target_;
};

std::vector<fs::path> candidate_folders() {
  std::vector<fs::path> folders;
  // Debian's pg_dump in PATH is a wrapper that picks a version by rules of its own: the real ones come first.
  for (const auto* pattern : {"/usr/lib/postgresql", "/usr"}) {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{pattern, none}) {
      const auto name = entry.path().filename().string();
      if (pattern == std::string_view{"/usr"} && !name.starts_with("pgsql-")) continue;
      folders.push_back(entry.path() / "bin");
    }
  }
  if (const auto found = io::find_program("pg_dump")) folders.push_back(found->parent_path());
  return folders;
}

std::unique_ptr<Programs> on_this_machine(int server_major, const io::postgres::Target& target, std::string& seen,
                                          const Limits& limits) {
  std::optional<Version> best;
  fs::path best_folder;
  for (const auto& folder : candidate_folders()) {
    const auto program = folder / "pg_dump";
    if (!io::find_program(program.string())) continue;
    const auto version = parse_version(
        io::capture({{program.string(), "--version"}, io::usual_environment(), {}}, limits.within(Milliseconds{5000})));
    if (!version) continue;
    seen = version->text;
    if (version->major < server_major || (best && best->major <= version->major)) continue;
    best = version;
    best_folder = folder;
  }
  if (!best) return nullptr;
  return std::make_unique<HostPrograms>(best_folder, *best, target);
}

std::unique_ptr<Programs> in_container(int server_major, const ContainerPlace& place, const io::postgres::Target& target, std::string& seen,
                                       const Limits& limits) {
  std::string out;
  target::ExecRequest request;
  request.argv = {"pg_dump", "--version"};
  const int code = place.containers->exec(place.id, request, {{}, [&](std::string_view bytes) { out += bytes; }, {}},
                                          limits.within(Milliseconds{10'000}));
  const auto version = parse_version(out);
  if (code != 0 || !version) return nullptr;
  if (version->major < server_major) {
    seen = version->text;
    return nullptr;
  }
  return std::make_unique<ContainerPrograms>(place, *version, target);
}

}  // namespace

void WhatFailed::feed(std::string_view bytes) {
  constexpr std::size_t longest = 4096;
  for (;;) {
    const auto newline = bytes.find('\n');
    // Of a line without end its beginning is what tells.
    partial_.append(bytes.substr(0, std::min(newline, longest - std::min(longest, partial_.size()))));
    if (newline == std::string_view::npos) return;
    line(std::exchange(partial_, {}));
    bytes.remove_prefix(newline + 1);
  }
}

void WhatFailed::line(std::string_view line) {
  constexpr std::size_t most_lines = 4, most_bytes = 500;
  if (line.starts_with("pg_")) in_command_ = false;
  if (const auto at = line.find("Command was:"); at != std::string_view::npos) {
    in_command_ = true;
    return;
  }
  if (in_command_ || line.empty()) return;
  lines_.push_back(text::printable(line, most_bytes));
  if (lines_.size() > most_lines) lines_.pop_front();
}

std::string WhatFailed::text() {
  if (!partial_.empty()) line(std::exchange(partial_, {}));
  return fmt::format("{}", fmt::join(lines_, "\n"));
}

void Programs::must(const Call& call, Exit code, const Limits& limits) {
  WhatFailed failed;
  auto watched = call;
  watched.streams.err = [&](std::string_view bytes) {
    failed.feed(bytes);
    if (call.streams.err) call.streams.err(bytes);
  };
  const auto outcome = run(watched, limits);
  if (outcome.status.success()) return;
  const auto said = failed.text();
  throw Failure{code, fmt::format("{} {}{}{}", call.program, outcome.status.text(), said.empty() ? "" : ": ", said)};
}

std::unique_ptr<Programs> find_programs(int server_major, const io::postgres::Target& target,
                                        const std::optional<ContainerPlace>& container, const Limits& limits) {
  std::string seen;
  if (auto programs = on_this_machine(server_major, target, seen, limits)) return programs;
  if (container && container->containers != nullptr) {
    if (auto programs = in_container(server_major, *container, target, seen, limits)) return programs;
  }
  throw Failure{Exit::unavailable,
                seen.empty() ? fmt::format("no pg_dump here, and the server is PostgreSQL {}", server_major)
                             : fmt::format("the server is PostgreSQL {}, newer than pg_dump {} here", server_major, seen),
                fmt::format("apt-get install postgresql-client-{}", server_major)};
}

const std::vector<std::pair<std::string, std::string>>& copy_settings() {
  static const std::vector<std::pair<std::string, std::string>> settings{
      {"TimeZone", "UTC"}, {"bytea_output", "hex"}, {"quote_all_identifiers", "off"}, {"standard_conforming_strings", "on"}};
  return settings;
}

std::string copy_options(const std::set<std::string>& but) {
  std::string text;
  for (const auto& [name, value] : copy_settings()) {
    if (!but.contains(name)) text += fmt::format(" -c {}={}", name, value);
  }
  return text;
}

std::string connection_text(const io::postgres::Target& target, const std::string& database) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    if (!text.empty()) text += ' ';
    text.append(name).append("='");
    for (const char c : value) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += '\'';
  };
  add("host", target.host);
  add("port", target.port);
  add("user", target.user);
  add("dbname", database);
  for (const auto& [name, value] : target.options) {
    if (name != "password" && name != "application_name" && name != "connect_timeout" && name != "client_encoding") add(name, value);
  }
  return text;
}

}  // namespace codops::backup

#pragma once
// What becomes of the .env files: made from their examples with secrets of their own, missing keys appended, existing
// values never touched unless somebody agreed to it. Pure: text in, text out.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/scaffold/dev/env_text.hpp"
#include "lib/scaffold/dev/secret_names.hpp"

namespace codops::scaffold::dev {

// One .env file as found. `path` and `example` are relative to the project.
struct EnvSource {
  std::string path;
  std::string example;                     // empty: it has none
  std::string example_text;
  std::optional<std::string> text;         // absent: the file is not there
  std::vector<std::string> links;          // other paths that lead to it
};

struct EnvFile {
  std::string path, example;
  std::optional<std::string> before;       // absent: it is made
  EnvText after;
  std::vector<std::string> appended;       // names
  std::vector<std::string> generated;      // names that got a new secret
  std::vector<std::string> left_out;       // in the example, commented out in the file: stays so
  std::vector<std::string> to_fill;        // secrets of others without a value, in a file or key that is new
  std::vector<std::string> changed;        // names whose existing value is changed (ports; only when agreed)
  std::vector<std::string> links;          // other paths that lead to it

  bool changes() const { return !before || *before != after.text(); }
  // Was this name in the file before?
  bool had(std::string_view name) const;
};

// Files that are one and the same by links are planned once, under the path where the bytes are, with the keys of all their examples.
// `resolved`: the path that a path leads to.
std::vector<EnvSource> merged_links(std::vector<EnvSource> sources, const std::function<std::string(const std::string&)>& resolved);

using NewSecret = std::function<std::string()>;  // letters and digits: it may stand in a URL

// `from_example`: beside each example's name. Throws Failure{config} for a file that can't be read as NAME=value lines.
std::vector<EnvFile> plan_env(const std::vector<EnvSource>& sources, const NewSecret& new_secret);

// A server's way from where the files say it is to where it will be.
struct Move {
  Store store{Store::none};
  std::string from_host;      // as the URLs have it; loopback names count as one. Empty: any loopback
  std::uint16_t from_port{};
  std::string to_host;        // empty: the host stays
  std::uint16_t to_port{};
  std::string variable;       // the compose file's, "POSTGRES_PORT"; empty: none
  // A host without a port, DB_HOST=localhost: the variable that says the other port, and the file where it has to stand. Empty: none.
  std::string unsaid_port, unsaid_file;
};
struct MoveEffect {
  std::vector<std::string> existing;  // "DATABASE_URL in .env": values that somebody has, to ask about
  bool anything{false};
  std::vector<std::string> left;      // "APP_PORT in .env": has the old port, and is not known to mean that server
};
// Writes a move into every URL and port variable that means that server; a missing variable is appended to the first file.
MoveEffect apply_move(std::vector<EnvFile>& files, const Move& move);

// The default port of a URL's scheme; 0: none.
std::uint16_t default_port(Store store);

}  // namespace codops::scaffold::dev

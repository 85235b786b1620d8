#pragma once
// PostgreSQL's own programs (pg_dump, pg_dumpall, pg_restore): those of this machine when they are new enough,
// else those in the database's container. The password goes through a memory file, never argv or a disk.
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/io/postgres.hpp"
#include "lib/io/process.hpp"
#include "lib/target/containers.hpp"

namespace codops::backup {

struct Call {
  std::string program;                 // "pg_dump"
  std::vector<std::string> arguments;  // "{file}", the last, stands for what is in `file`; without --dbname, which is added
  std::string database;                // empty: the target's
  io::Streams streams{};
  std::string_view file{};             // content that the program reads at "{file}"
  int descriptor{-1};                  // instead of `file`: of one that is open for reading
  bool connects{true};
  bool copies{};                       // its session writes rows: with copy_settings(), whatever the database or role has set
  std::string session{};               // its session's options, none in vain, as a pooler may refuse them: with `copies` of copy_options() what this machine's lack
};

class Programs {
 public:
  virtual ~Programs() = default;
  virtual std::string describe() const = 0;  // "PostgreSQL 15.18 of this machine"
  virtual int major() const = 0;
  // Whether "{file}" can be read by several workers of one call (pg_restore --jobs), and two calls can run at once.
  virtual bool parallel() const = 0;
  virtual io::Outcome run(const Call& call, const Limits& limits) = 0;

  // run(), and Failure{code} with what_failed() unless it exits with 0.
  void must(const Call& call, Exit code, const Limits& limits);
};

// Of what a program of PostgreSQL wrote to stderr, as it comes: the last lines that tell why. Without the statements it shows
// ("Command was: …", of any length): they may hold the password of a subscription or a user mapping.
class WhatFailed {
 public:
  void feed(std::string_view bytes);
  std::string text();

 private:
  void line(std::string_view line);
  std::string partial_;
  std::deque<std::string> lines_;
  bool in_command_{};
};

// Where the database's own programs are when this machine has none that are new enough.
struct ContainerPlace {
  target::Containers* containers{};
  std::string id, name;
};

// Programs of a major at least `server_major`, the nearest one. Throws Failure{unavailable} when neither place has any.
std::unique_ptr<Programs> find_programs(int server_major, const io::postgres::Target& target,
                                        const std::optional<ContainerPlace>& container, const Limits& limits);

// What changes the text that COPY writes and pg_dump does not set itself: two sessions must write the same row as the same bytes.
const std::vector<std::pair<std::string, std::string>>& copy_settings();
// As libpq's `options` take them: a session's start wins over ALTER DATABASE and ALTER ROLE. `but`: those that are so anyway.
std::string copy_options(const std::set<std::string>& but = {});

// libpq's key=value text without the password.
std::string connection_text(const io::postgres::Target& target, const std::string& database);

}  // namespace codops::backup

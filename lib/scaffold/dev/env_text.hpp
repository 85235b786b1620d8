#pragma once
// The text of a .env file, changed without disturbing what is not meant: bytes that are not replaced stay as they are,
// comments, quotes, CRLF and a missing last newline included. Pure.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codops::scaffold::dev {

class EnvText {
 public:
  struct Statement {
    std::string name;
    std::optional<std::string> value;  // quotes, escapes and ${…} resolved; absent: NAME alone
    std::size_t begin{}, end{};        // of the bytes from the name (or `export`) to the end of the value
    std::size_t value_begin{};         // of the value as written, inside its quotes; the end of the text of NAME alone
    std::size_t value_end{};
    char quote{};                      // ' or " around the value, or 0
  };

  // `file` is how messages call it. Throws Failure{config, "file:line:column: …"}.
  EnvText(std::string text, std::string file);

  const std::string& text() const noexcept { return text_; }
  const std::string& file() const noexcept { return file_; }
  const std::vector<Statement>& statements() const noexcept { return statements_; }
  // The statement that counts: the last of that name. Null: none.
  const Statement* find(std::string_view name) const;
  std::optional<std::string> value(std::string_view name) const;
  // A line "# NAME=…": somebody took it out on purpose.
  bool commented_out(std::string_view name) const;
  // The bytes of the value as written.
  std::string raw(const Statement& statement) const;
  // As the file has it, the quotes included, without the line break.
  std::string line(const Statement& statement) const;

  // Replaces the bytes of a value; `raw` must fit between the quotes that are there.
  void replace(std::string_view name, std::string_view raw);
  // Gives it a value, in quotes where it needs some. `written`: how another file has that very value, for one that no quotes fit.
  void set(std::string_view name, std::string_view value, std::string_view written);
  // The value as the file has it, with its quotes.
  std::string written(const Statement& statement) const;
  // Adds whole lines at the end, with the file's own line breaks; gives the last line its line break first.
  void append(const std::vector<std::string>& lines);

 private:
  void read();
  std::string text_, file_;
  std::vector<Statement> statements_;
};

// How a value is written so that dotenv, node --env-file and docker compose all read the same; nullopt: there is no such way.
std::optional<std::string> quoted_value(std::string_view value);

// The part of a URL that says where its server is: "localhost:5432" of "postgresql://u:p@localhost:5432/db".
struct UrlPlace {
  std::size_t begin{}, end{};                    // of host and port inside the URL
  std::size_t password_begin{}, password_end{};  // equal: none
  std::string scheme, host, port, password;      // as written
  std::string user, path;                        // as written; the path without its "/", up to the query
};
std::optional<UrlPlace> url_place(std::string_view url);
// "localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0".
bool is_loopback(std::string_view host);

}  // namespace codops::scaffold::dev

#pragma once
// What the standard streams are, and writing to them.
#include <string>
#include <string_view>

#include "commands/services.hpp"

namespace codops::cli {

// A descriptor that is one of the standard ones. Nobody reading (EPIPE, or closed from the start) is not an error.
class Stream {
 public:
  enum class Unwritable { fails, is_dropped };
  explicit Stream(int fd, Unwritable unwritable = Unwritable::fails) : fd_{fd}, unwritable_{unwritable} {}
  // False: nobody reads it. What can't be written (a full disk) is Failure{unknown}, or dropped: what is said on the way must not end what
  // it tells of.
  bool write(std::string_view text);
  bool is_closed() const { return closed_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  Unwritable unwritable_;
  bool closed_{};
};

// Opens /dev/null in the place of a closed 0, 1 or 2: otherwise the next file or socket would get that number.
void fill_standard_descriptors();

// Columns of the terminal behind `fd`; 80 when it does not say.
std::size_t terminal_width(int fd);

struct Variables {
  bool no_color{};   // NO_COLOR, not empty
  bool dumb{};       // TERM=dumb or unset
  bool ci{};         // CI is set: no live lines even if there is a terminal
};

commands::Terminal describe_terminal(const commands::GlobalOptions& options, const Variables& variables);
bool may_color(int fd, commands::Color color, const Variables& variables);

}  // namespace codops::cli

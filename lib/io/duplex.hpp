#pragma once
// A connection that both sides may write to at any time: a hijacked exec or attach, a port forward.
#include <cstddef>
#include <optional>
#include <string_view>

#include "lib/base/cancel.hpp"

namespace codops::io {

class Duplex {
 public:
  virtual ~Duplex() = default;
  // Never waits. nullopt: nothing is there now; 0: the peer has ended its side.
  virtual std::optional<std::size_t> try_read(char* into, std::size_t size) = 0;
  // Never waits. How many bytes were taken, 0 when none could be.
  virtual std::size_t try_write(std::string_view bytes) = 0;
  // Ends our side; the peer reads an end of file and may go on sending.
  virtual void end_writing() = 0;
  // For poll(2). Buffered bytes don't show there: poll only after try_read has answered nullopt.
  virtual int fd() const = 0;

  // The waiting forms: both throw Failure when cancelled or at the deadline.
  std::size_t read(char* into, std::size_t size, const Limits& limits);
  void write(std::string_view bytes, const Limits& limits);
};

}  // namespace codops::io

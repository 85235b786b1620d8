#pragma once
// Calls that wait for somebody else, side by side.
#include <cstddef>
#include <functional>
#include <initializer_list>

namespace codops {

// As many calls as one server is asked at once.
inline constexpr std::size_t calls_at_once = 8;

// piece(0) … piece(count - 1) on up to `at_most` threads, the caller's among them. Returns when all have ended; after a
// failure no further piece is begun, and the first one is thrown.
void in_parallel(std::size_t count, std::size_t at_most, const std::function<void(std::size_t)>& piece);

// Each on a thread of its own.
void in_parallel(std::initializer_list<std::function<void()>> pieces);

}  // namespace codops

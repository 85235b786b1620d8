#pragma once
// Bytes from one thread to another, at most so many on their way: joins what is pushed into with what is pulled from.
#include <functional>

#include "lib/io/byte_stream.hpp"

namespace codops::io {

// Runs `produce` here and `consume` on a thread of its own. Returns when both have ended; throws what the producer threw,
// else what the consumer threw. A producer's failure reaches the consumer from read(), so that nothing cut short looks whole;
// when the consumer has ended, the producer's next write() ends the producer.
void stream_between(const std::function<void(Writer&)>& produce, const std::function<void(Reader&)>& consume);

}  // namespace codops::io

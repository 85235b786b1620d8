#pragma once
// What may block or take long (a file on a server that is gone, a login's arithmetic), on a thread of its own beside the loop.
#include "lib/io/event_loop.hpp"

namespace codops::io {

// As long as it is kept, the result is wanted. The thread itself goes on without it: nothing can interrupt it.
using Errand = std::shared_ptr<void>;

// Runs `work` on a thread, and on the loop what it returns, never before this does. `work` owns what it uses, for it may outlive the
// loop, and does not throw. Null: no thread can be had.
Errand start_errand(EventLoop& loop, std::function<EventLoop::Action()> work);

// First of all that touches libcrypto: it is not torn down at the end of main, where such a thread may still be using it.
void let_errands_outlive_main();

}  // namespace codops::io

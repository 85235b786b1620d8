#pragma once
// A process between codops and a program of the user's, so that nothing the program started goes on when it must not: neither what left
// its process group, nor anything when codops itself was killed. It adopts what loses its parent (PR_SET_CHILD_SUBREAPER).
#include <sys/types.h>

namespace codops::io {

// In a child that fork made of `parent`, before exec, with the stop signal's default handler. Returns in a child of its own, the leader of
// a process group of its own; the guard stays here and ends as the program ended. It kills the program's group and all its descendants
// at once when `parent` has died, or `grace_ms` after a SIGTERM; with no grace also once the program has ended. Async-signal-safe.
void stand_guard(pid_t parent, int grace_ms);

}  // namespace codops::io

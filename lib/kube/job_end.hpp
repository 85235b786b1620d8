#pragma once
// Jobs that tidy themselves up (ttlSecondsAfterFinished): their absence says that they ended, not that somebody removed them.
#include <string>
#include <vector>

#include "lib/kube/summary.hpp"

namespace codops::kube {

bool has_succeeded(const Object& live);
bool tidies_itself_up(const Object& job);
bool has_ended(const Object& live);  // well or not
// To be made once more: without what the server gave the former one.
Object new_job(Object job);
// By its controller's event. `uid` empty: any Job of that name.
bool is_told_complete(const Object& job, const std::string& uid, const std::vector<Object>& events);
// Of one that is not there any more and had succeeded.
WorkloadSummary summary_of_tidied(const Object& on_record);

}  // namespace codops::kube

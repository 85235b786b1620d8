#pragma once
// A lock as an object: made only where there is none, renewed while it is held, taken over when its owner is dead or has given
// no sign of life for long, by the store's own clock.
#include <memory>

#include "lib/store/s3_client.hpp"

namespace codops::store {

// nullptr: somebody else has it; `holder`, when given, says who. Failure{config}: there is no such bucket.
std::unique_ptr<StoreLock> take_s3_lock(const std::shared_ptr<S3Client>& client, const std::string& key, const Limits& limits, LockHolder* holder);

}  // namespace codops::store

#include "lib/backup/rescue.hpp"

#include <algorithm>

#include "lib/backup/session.hpp"
#include "lib/base/retry.hpp"

namespace codops::backup {
namespace {

// A server that starts, stops, recovers or has no free connection answers differently in a moment; so does one that is not there.
bool may_pass(const io::postgres::DatabaseError& error) {
  const auto& state = error.sqlstate();
  return error.lost() && (state.empty() || state.starts_with("57P") || state.starts_with("08") || state.starts_with("53"));
}

}  // namespace

std::optional<std::string> put_right(const io::postgres::Target& server, const Limits& limits, const Rescue::Work& work) {
  Backoff backoff{Milliseconds{50}, Milliseconds{1000}};
  for (;;) {
    try {
      auto connection = open_session(server, limits);
      work(connection, limits);
      return std::nullopt;
    } catch (const io::postgres::DatabaseError& error) {
      if (!may_pass(error) || !backoff.wait(limits)) return error.message();
    } catch (const Failure& failure) {
      return failure.message();
    } catch (const std::exception& error) {
      return error.what();
    }
  }
}

bool Rescue::attempt(const std::string& state, const std::string& type, const Work& work) noexcept try {
  const auto at_least = std::min(patience_, Milliseconds{5000});
  const auto now = std::chrono::steady_clock::now();
  if (!until_) until_ = now + patience_;
  const auto left = std::chrono::duration_cast<Milliseconds>(*until_ - now);
  const auto why = put_right(server_, Limits{}.within(std::max(at_least, left)), work);
  if (!why) return true;
  if (left_ != nullptr) *left_ += (left_->empty() ? "" : "; ") + state;
  reporter_.warn(state + ": " + *why + "; once the server answers: " + type);
  return false;
} catch (...) {
  return false;  // out of memory, or nobody to tell
}

}  // namespace codops::backup

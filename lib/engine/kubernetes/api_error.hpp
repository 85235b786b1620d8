#pragma once
// The API server's refusals (a Status object, https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/)
// as Failures. Decide by status() and reason(), never by the message.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/failure.hpp"

namespace codops::engine::kubernetes {

struct StatusCause {
  std::string reason;   // "FieldManagerConflict", "FieldValueInvalid"
  std::string field;    // ".spec.replicas"
  std::string message;  // 'conflict with "kubectl"…'
};

class ApiError : public Failure {
 public:
  ApiError(int status, std::string reason, std::vector<StatusCause> causes, std::string message, std::string hint);

  int status() const noexcept { return status_; }
  const std::string& reason() const noexcept { return reason_; }  // "NotFound", "AlreadyExists", "Expired"; may be empty
  const std::vector<StatusCause>& causes() const noexcept { return causes_; }
  bool not_found() const noexcept { return status_ == 404; }
  bool already_exists() const noexcept { return status_ == 409 && reason_ == "AlreadyExists"; }
  // Somebody else owns fields that an apply would change: causes() has one for each.
  bool field_conflict() const noexcept;
  bool gone() const noexcept { return status_ == 410; }  // a resourceVersion or continue token is too old

 private:
  int status_;
  std::string reason_;
  std::vector<StatusCause> causes_;
};

// The Failure for an answer of 400 and more. `what`: "apply Deployment shop/backend". `sent`: the object that was refused, if it was one: of a
// Secret no value is shown, whoever quotes it.
ApiError api_error(int status, std::string_view body, std::string_view what, std::string_view sent = {});

// Delta-seconds or an HTTP date, as a pause from `now` on.
std::optional<Milliseconds> parse_retry_after(std::string_view header, std::optional<WallTime> now);

}  // namespace codops::engine::kubernetes

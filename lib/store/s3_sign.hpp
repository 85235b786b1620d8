#pragma once
// AWS Signature Version 4 (Signature Version 4 for API requests, AWS General Reference). Signed here rather than by
// libcurl, which sends no x-amz-content-sha256 before 8.0 and signs a bare `?uploads` wrongly.
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/secret.hpp"

namespace codops::store {

struct S3Credentials {
  std::string access_key;
  Secret secret_key;
  Secret session_token;  // empty: none
};

struct S3Request {
  std::string method{"GET"};
  std::string path{"/"};                     // percent-encoded already
  std::map<std::string, std::string> query;  // not encoded; a bare name has an empty value
  std::map<std::string, std::string> headers;  // lower-case names; host included
  std::string payload_sha256;                // hex
};

std::string canonical_query(const std::map<std::string, std::string>& query);
// The headers to add: x-amz-date, x-amz-content-sha256, x-amz-security-token, authorization.
std::vector<std::pair<std::string, std::string>> sign(const S3Request& request, const S3Credentials& credentials,
                                                      const std::string& region, WallTime now);

}  // namespace codops::store

#include "lib/store/s3_sign.hpp"

#include "lib/io/crypto.hpp"
#include "lib/io/http.hpp"

namespace codops::store {
namespace {

// "20130524T000000Z"
std::string stamp_of(WallTime now) {
  auto text = to_rfc3339(now).substr(0, 19);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text + "Z";
}

}  // namespace

std::string canonical_query(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    if (!text.empty()) text += '&';
    text += io::percent_encode(name) + "=" + io::percent_encode(value);
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> sign(const S3Request& request, const S3Credentials& credentials,
                                                      const std::string& region, WallTime now) {
  const auto stamp = stamp_of(now);
  auto headers = request.headers;
  headers["x-amz-date"] = stamp;
  headers["x-amz-content-sha256"] = request.payload_sha256;
  if (!credentials.session_token.empty()) headers["x-amz-security-token"] = credentials.session_token.reveal();
  std::string lines, names;
  for (const auto& [name, value] : headers) {
    lines += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const auto canonical = request.method + "\n" + request.path + "\n" + canonical_query(request.query) + "\n" + lines +
                         "\n" + names + "\n" + request.payload_sha256;
  const auto scope = fmt::format("{}/{}/s3/aws4_request", stamp.substr(0, 8), region);
  const auto text = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", stamp, scope, io::sha256_hex(canonical));
  auto key = io::hmac_sha256("AWS4" + credentials.secret_key.reveal(), stamp.substr(0, 8));
  for (const auto part : {std::string_view{region}, std::string_view{"s3"}, std::string_view{"aws4_request"}}) {
    key = io::hmac_sha256(key, part);
  }
  const auto signature = io::to_hex(io::hmac_sha256(key, text));
  std::vector<std::pair<std::string, std::string>> added{{"x-amz-date", stamp},
                                                         {"x-amz-content-sha256", request.payload_sha256}};
  if (!credentials.session_token.empty()) added.emplace_back("x-amz-security-token", credentials.session_token.reveal());
  added.emplace_back("authorization",
                     fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}",
                                 credentials.access_key, scope, names, signature));
  return added;
}

}  // namespace codops::store

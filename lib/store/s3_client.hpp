#pragma once
// One bucket over HTTP: keys, signatures, retries, errors in the server's own words.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/io/http.hpp"
#include "lib/store/s3.hpp"
#include "lib/store/s3_xml.hpp"

namespace codops::store {

// What goes with a refusal of the key.
inline constexpr std::string_view denied_hint = "look at the credentials of backup.s3, and their rights";

struct S3Call {
  std::string method{"GET"};
  std::string key;  // below the prefix; empty: the bucket itself
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;
  std::string_view body;
};

class S3Client {
 public:
  S3Client(S3Settings settings, const Clock& clock);

  const S3Settings& settings() const { return settings_; }
  const Clock& clock() const { return clock_; }
  // 2xx, 404 and 412 come back; anything else is Failure: config for 403, 401 and a bucket that is not there, unavailable once
  // retries are spent. An <Error> where 200 was to bring XML is that error.
  io::HttpResponse send(const S3Call& call, const Limits& limits);
  std::string full_key(const std::string& name) const;
  std::string describe() const;
  // Waits as long as `bytes` take at the bandwidth that is allowed.
  void pace(std::size_t bytes, const Limits& limits);

 private:
  S3Settings settings_;
  const Clock& clock_;
  std::string host_, path_prefix_;
  std::unique_ptr<io::HttpClient> http_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_free_{};
};

}  // namespace codops::store

#pragma once
// A bucket of an S3-compatible server. Each request is signed, bounded, and sent again after a lost connection, 429 or
// 5xx: parts from the buffer that holds them, reads by range.
#include <memory>
#include <optional>
#include <string>

#include "lib/base/clock.hpp"
#include "lib/store/s3_sign.hpp"
#include "lib/store/store.hpp"

namespace codops::store {

struct S3Address {
  std::string bucket, prefix;  // prefix without slashes at its ends; may be empty
};
// "s3://bucket/prefix"; nullopt: not one.
std::optional<S3Address> parse_s3_address(std::string_view text);

struct S3Settings {
  S3Address address;
  std::string endpoint;  // "https://host[:port]"; empty: AWS
  std::string region{"us-east-1"};
  bool path_style{};
  S3Credentials credentials;
  std::string ca_file;
  std::optional<std::uint64_t> bandwidth;   // bytes a second, of uploads
  std::optional<Milliseconds> object_lock;  // governance retention of every object
  std::size_t part_size{8U << 20U};         // of multipart uploads, and of ranges that are read; at least 5 MiB on AWS
  int attempts{5};
};

class S3Client;

class S3Store final : public Store {
 public:
  S3Store(S3Settings settings, const Clock& clock);
  ~S3Store() override;

  std::string describe() const override;
  std::unique_ptr<Upload> create(const std::string& name, const Limits& limits) override;
  // On a server without conditional writes what is there is looked for first, and that is all.
  bool put_new(const std::string& name, std::string_view content, const Limits& limits) override;
  std::unique_ptr<io::Reader> open(const std::string& name, const Limits& limits) override;
  std::optional<Object> find(const std::string& name, const Limits& limits) override;
  std::vector<Object> list(const std::string& folder, const Limits& limits) override;
  void remove(const std::string& name, const Limits& limits) override;
  void sweep(const std::string& folder, const Limits& limits) override;
  // An object that is made only where there is none. One of a dead process of this machine, or of half a day ago, is
  // taken over. A server without conditional writes gives no exclusion: labels keep two runs apart there.
  std::unique_ptr<StoreLock> try_lock(const std::string& name, const Limits& limits) override;

 private:
  std::shared_ptr<S3Client> client_;
};

}  // namespace codops::store

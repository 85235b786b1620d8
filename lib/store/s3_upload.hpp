#pragma once
// One object on its way: in one request while it is small, else in parts; each part stays in memory until the server
// has it, so that it can be sent again.
#include <memory>
#include <string>
#include <vector>

#include "lib/store/s3_client.hpp"

namespace codops::store {

// What to ask for, so that the store keeps it.
std::map<std::string, std::string> retention_headers(const S3Client& client, Retain retain);

// The size of part `number`, from 1: 10,000 parts are all that S3 takes, and each is held in memory. They grow to eight times
// the first, which is enough for 400 GiB.
std::size_t part_size(std::size_t first, std::size_t number);

class S3Upload final : public Upload {
 public:
  S3Upload(std::shared_ptr<S3Client> client, std::string key, Limits limits, Retain retain)
      : client_{std::move(client)}, key_{std::move(key)}, limits_{std::move(limits)}, retain_{retain} {}
  ~S3Upload() override;  // aborts what was not committed
  void write(std::string_view bytes) override;
  void commit() override;
  std::uint64_t size() const override { return size_; }

 private:
  std::map<std::string, std::string> object_headers() const;
  void start();
  void send_part();
  void complete();
  void require_size();

  std::shared_ptr<S3Client> client_;
  std::string key_;
  Limits limits_;
  Retain retain_;
  std::string buffer_, upload_id_;
  std::vector<std::string> etags_;
  std::uint64_t size_{};
  bool committed_{};
};

}  // namespace codops::store

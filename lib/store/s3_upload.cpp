#include "lib/store/s3_upload.hpp"

#include "lib/base/failure.hpp"

namespace codops::store {

S3Upload::~S3Upload() {
  if (committed_ || upload_id_.empty()) return;
  try {
    client_->send({"DELETE", key_, {{"uploadId", upload_id_}}, {}, {}}, Limits{}.within(Milliseconds{15'000}));
  } catch (const std::exception&) {
    // sweep() finds it.
  }
}

std::map<std::string, std::string> retention_headers(const S3Client& client, Retain retain) {
  const auto keep = client.settings().object_lock;
  if (!keep || retain == Retain::no) return {};
  return {{"x-amz-object-lock-mode", "GOVERNANCE"}, {"x-amz-object-lock-retain-until-date", to_rfc3339(client.clock().now() + *keep)}};
}

std::size_t part_size(std::size_t first, std::size_t number) { return first * std::min<std::size_t>(1 + (number - 1) / 1000, 8); }

std::map<std::string, std::string> S3Upload::object_headers() const {
  auto headers = retention_headers(*client_, retain_);
  headers["content-type"] = "application/octet-stream";
  return headers;
}

void S3Upload::write(std::string_view bytes) {
  limits_.check("an upload");
  size_ += bytes.size();
  while (!bytes.empty()) {
    const auto full = part_size(client_->settings().part_size, etags_.size() + 1);
    const auto taken = bytes.substr(0, full - buffer_.size());
    buffer_.append(taken);
    bytes.remove_prefix(taken.size());
    if (buffer_.size() == full) send_part();
  }
}

void S3Upload::start() {
  const auto response = client_->send({"POST", key_, {{"uploads", ""}}, object_headers(), {}}, limits_);
  upload_id_ = xml_text(response.body, "UploadId");
  if (!response.ok() || upload_id_.empty()) throw Failure{Exit::failed, fmt::format("{} starts no upload of \"{}\"", client_->describe(), key_)};
}

void S3Upload::send_part() {
  if (upload_id_.empty()) start();
  client_->pace(buffer_.size(), limits_);
  const auto number = std::to_string(etags_.size() + 1);
  const auto response = client_->send({"PUT", key_, {{"partNumber", number}, {"uploadId", upload_id_}}, {}, buffer_}, limits_);
  const auto etag = response.header("etag");
  if (!response.ok() || etag.empty()) throw Failure{Exit::failed, fmt::format("{} did not take part {} of \"{}\"", client_->describe(), number, key_)};
  etags_.push_back(etag);
  buffer_.clear();
}

void S3Upload::complete() {
  if (!buffer_.empty()) send_part();
  std::string body = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < etags_.size(); ++i) {
    body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, etags_[i]);
  }
  body += "</CompleteMultipartUpload>";
  const auto response = client_->send({"POST", key_, {{"uploadId", upload_id_}}, {}, body}, limits_);
  // Done already, and the answer was lost on the way: the size, and later every byte, is compared.
  if (response.status == 404 && xml_text(response.body, "Code") == "NoSuchUpload") return;
  // What became of it is in the body, whose root differs between servers.
  if (!response.ok() || response.body.find("<Error>") != std::string::npos || xml_text(response.body, "ETag").empty()) {
    const auto code = xml_text(response.body, "Code");
    throw Failure{Exit::failed, fmt::format("{} did not put \"{}\" together: {}", client_->describe(), key_,
                                            code.empty() ? fmt::format("status {}", response.status) : code)};
  }
}

void S3Upload::require_size() {
  const auto head = client_->send({"HEAD", key_, {}, {}, {}}, limits_);
  if (!head.ok() || head.header("content-length") != std::to_string(size_)) {
    throw Failure{Exit::failed, fmt::format("{} has {} bytes of \"{}\" instead of {}", client_->describe(), head.header("content-length"), key_, size_)};
  }
}

void S3Upload::commit() {
  limits_.check("an upload");
  if (upload_id_.empty()) {
    client_->pace(buffer_.size(), limits_);
    const auto response = client_->send({"PUT", key_, {}, object_headers(), buffer_}, limits_);
    if (!response.ok()) throw Failure{Exit::failed, fmt::format("{} answers {} to \"{}\"", client_->describe(), response.status, key_)};
  } else {
    complete();
  }
  require_size();
  committed_ = true;
}

}  // namespace codops::store

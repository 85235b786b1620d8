#include "lib/store/s3.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/store/process_identity.hpp"
#include "lib/store/s3_client.hpp"
#include "lib/store/s3_upload.hpp"

namespace codops::store {
namespace {

constexpr std::chrono::hours lock_is_stale_after{12};

std::uint64_t size_of(const io::HttpResponse& response) {
  return std::strtoull(response.header("content-length").c_str(), nullptr, 10);
}

// Ranges, so that a lost connection costs one of them and memory stays bounded. All of one version: If-Match.
class RangeReader final : public io::Reader {
 public:
  RangeReader(std::shared_ptr<S3Client> client, std::string key, Limits limits)
      : client_{std::move(client)}, key_{std::move(key)}, limits_{std::move(limits)} {
    const auto head = client_->send({"HEAD", key_, {}, {}, {}}, limits_);
    if (!head.ok()) throw Failure{Exit::data, fmt::format("cannot read \"{}\" in {}: it is not there", key_, client_->describe())};
    size_ = size_of(head);
    etag_ = head.header("etag");
  }

  std::size_t read(char* into, std::size_t size) override {
    if (used_ == range_.size()) {
      if (at_ >= size_) return 0;
      next_range();
    }
    const auto taken = range_.copy(into, size, used_);
    used_ += taken;
    return taken;
  }

 private:
  void next_range() {
    const auto end = std::min<std::uint64_t>(size_, at_ + client_->settings().part_size);
    S3Call call{"GET", key_, {}, {{"range", fmt::format("bytes={}-{}", at_, end - 1)}}, {}};
    if (!etag_.empty()) call.headers["if-match"] = etag_;
    // An answer that is cut short is a lost connection to the client below, unless its length lies as well.
    for (int attempt = 0;; ++attempt) {
      auto response = client_->send(call, limits_);
      if (!response.ok()) throw Failure{Exit::data, fmt::format("\"{}\" in {} changed while it was read", key_, client_->describe())};
      if (response.body.size() == end - at_) {
        range_ = std::move(response.body);
        break;
      }
      if (attempt == 2) throw Failure{Exit::data, fmt::format("\"{}\" in {} ends too early", key_, client_->describe())};
    }
    used_ = 0;
    at_ = end;
  }

  std::shared_ptr<S3Client> client_;
  std::string key_;
  Limits limits_;
  std::uint64_t size_{}, at_{};
  std::string etag_, range_;
  std::size_t used_{};
};

class ObjectLock final : public StoreLock {
 public:
  ObjectLock(std::shared_ptr<S3Client> client, std::string key, std::string etag)
      : client_{std::move(client)}, key_{std::move(key)}, etag_{std::move(etag)} {}
  ~ObjectLock() override {
    try {
      const auto limits = Limits{}.within(Milliseconds{15'000});
      // Somebody may have taken it over.
      if (const auto head = client_->send({"HEAD", key_, {}, {}, {}}, limits); head.ok() && head.header("etag") == etag_) {
        client_->send({"DELETE", key_, {}, {}, {}}, limits);
      }
    } catch (const std::exception&) {
      // It is taken over once its process is gone.
    }
  }

 private:
  std::shared_ptr<S3Client> client_;
  std::string key_, etag_;
};

std::string lock_text(WallTime now) {
  const auto self = this_process();
  return nlohmann::json{{"host", host_name()}, {"pid", self.pid}, {"start_time", self.start_time}, {"boot_id", self.boot_id},
                        {"pid_namespace", self.pid_namespace}, {"since", to_rfc3339(now)}}.dump();
}

bool is_stale(const std::string& text, WallTime now) try {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return true;
  const auto since = parse_rfc3339(json.value("since", ""));
  return !since || now - *since > lock_is_stale_after ||
         is_gone({json.value("boot_id", ""), json.value("pid_namespace", ""), json.value("pid", std::int64_t{}),
                  json.value("start_time", std::uint64_t{})});
} catch (const nlohmann::json::exception&) {
  return true;  // nobody's
}

}  // namespace

std::optional<S3Address> parse_s3_address(std::string_view text) {
  constexpr std::string_view scheme = "s3://";
  if (!text.starts_with(scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  const auto slash = text.find('/');
  auto prefix = slash == std::string_view::npos ? std::string_view{} : text.substr(slash + 1);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (slash == 0 || text.empty()) return std::nullopt;
  return S3Address{std::string{text.substr(0, slash)}, std::string{prefix}};
}

S3Store::S3Store(S3Settings settings, const Clock& clock) : client_{std::make_shared<S3Client>(std::move(settings), clock)} {}
S3Store::~S3Store() = default;

std::string S3Store::describe() const { return client_->describe(); }

std::unique_ptr<Upload> S3Store::create(const std::string& name, const Limits& limits) {
  check_name(name);
  return std::make_unique<S3Upload>(client_, client_->full_key(name), limits);
}

bool S3Store::put_new(const std::string& name, std::string_view content, const Limits& limits) {
  check_name(name);
  const auto key = client_->full_key(name);
  if (find(name, limits)) return false;
  const auto made = client_->send({"PUT", key, {}, {{"if-none-match", "*"}}, content}, limits);
  if (made.ok()) return true;
  if (made.status != 412) throw Failure{Exit::failed, fmt::format("{} answers {} to \"{}\"", client_->describe(), made.status, key)};
  // It may be our own: an answer that was lost on the way was asked for again.
  return get(name, limits) == std::string{content};
}

std::unique_ptr<io::Reader> S3Store::open(const std::string& name, const Limits& limits) {
  check_name(name);
  return std::make_unique<RangeReader>(client_, client_->full_key(name), limits);
}

std::optional<Object> S3Store::find(const std::string& name, const Limits& limits) {
  check_name(name);
  const auto head = client_->send({"HEAD", client_->full_key(name), {}, {}, {}}, limits);
  if (!head.ok()) return std::nullopt;
  return Object{name, size_of(head)};
}

std::vector<Object> S3Store::list(const std::string& folder, const Limits& limits) {
  const auto start = client_->full_key(folder);
  std::vector<Object> objects;
  std::map<std::string, std::string> query{{"list-type", "2"}, {"prefix", start.empty() ? "" : start + "/"}};
  for (;;) {
    const auto response = client_->send({"GET", {}, query, {}, {}}, limits);
    if (!response.ok()) throw Failure{Exit::config, fmt::format("there is no bucket \"{}\"", client_->settings().address.bucket), "look at backup.store"};
    for (const auto& entry : xml_texts(response.body, "Contents")) {
      auto key = xml_text(entry, "Key");
      const auto own = client_->full_key({});
      if (!own.empty()) key.erase(0, own.size() + 1);
      const bool hidden = key.starts_with('.') || key.find("/.") != std::string::npos;
      if (!hidden) objects.push_back({std::move(key), std::strtoull(xml_text(entry, "Size").c_str(), nullptr, 10)});
    }
    if (xml_text(response.body, "IsTruncated") != "true") break;
    query["continuation-token"] = xml_text(response.body, "NextContinuationToken");
  }
  std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return objects;
}

void S3Store::remove(const std::string& name, const Limits& limits) {
  check_name(name);
  client_->send({"DELETE", client_->full_key(name), {}, {}, {}}, limits);
}

void S3Store::sweep(const std::string& folder, const Limits& limits) {
  const auto response = client_->send({"GET", {}, {{"uploads", ""}, {"prefix", client_->full_key(folder) + "/"}}, {}, {}}, limits);
  if (!response.ok()) return;
  for (const auto& upload : xml_texts(response.body, "Upload")) {
    client_->send({"DELETE", xml_text(upload, "Key"), {{"uploadId", xml_text(upload, "UploadId")}}, {}, {}}, limits);
  }
}

std::unique_ptr<StoreLock> S3Store::try_lock(const std::string& name, const Limits& limits) {
  check_name(name);
  const auto slash = name.rfind('/');
  const auto key = client_->full_key(slash == std::string::npos ? "." + name + ".lock" : name.substr(0, slash) + "/." + name.substr(slash + 1) + ".lock");
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto text = lock_text(client_->clock().now());
    // Looked at first: not every server knows If-None-Match.
    const auto there = client_->send({"GET", key, {}, {}, {}}, limits);
    if (there.ok()) {
      if (!is_stale(there.body, client_->clock().now())) return nullptr;
      client_->send({"DELETE", key, {}, {}, {}}, limits);
      continue;
    }
    const auto made = client_->send({"PUT", key, {}, {{"if-none-match", "*"}}, text}, limits);
    if (made.ok()) return std::make_unique<ObjectLock>(client_, key, made.header("etag"));
  }
  return nullptr;
}

}  // namespace codops::store

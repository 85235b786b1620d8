#include "lib/store/s3.hpp"

#include "lib/base/failure.hpp"
#include "lib/store/s3_client.hpp"
#include "lib/store/s3_lock.hpp"
#include "lib/store/s3_upload.hpp"

namespace codops::store {
namespace {

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

void check_prefix(const S3Address& address) {
  std::string_view left = address.prefix;
  while (!left.empty()) {
    const auto end = std::min(left.find('/'), left.size());
    const auto part = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    const bool control = std::any_of(part.begin(), part.end(), [](unsigned char c) { return c < 32 || c == 127; });
    if (part.empty() || part == "." || part == ".." || control) {
      throw Failure{Exit::config, fmt::format("backup.store: the prefix \"{}\" has an empty part, a . or .., or control characters: servers differ in what they make of it", address.prefix),
                    fmt::format("s3://{}/shop/backups", address.bucket)};
    }
  }
}

// What came instead of a list, in a word.
[[noreturn]] void no_list(const S3Client& client, const std::string& body) {
  const auto shown = body.substr(0, body.find_first_of("\r\n"));
  const bool plain = std::all_of(shown.begin(), shown.end(), [](unsigned char c) { return c >= 32 && c < 127; });
  throw Failure{Exit::unavailable,
                fmt::format("{} does not answer as S3 does: no whole list of objects came{}; what it holds is not known", client.describe(),
                            plain && !shown.empty() ? fmt::format(", but \"{}…\"", shown.substr(0, 60)) : ""),
                "look at backup.s3.endpoint and path_style"};
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

S3Store::S3Store(S3Settings settings, const Clock& clock) {
  check_prefix(settings.address);
  client_ = std::make_shared<S3Client>(std::move(settings), clock);
}
S3Store::~S3Store() = default;

std::string S3Store::describe() const { return client_->describe(); }

std::unique_ptr<Upload> S3Store::create(const std::string& name, const Limits& limits, Retain retain) {
  check_name(name);
  return std::make_unique<S3Upload>(client_, client_->full_key(name), limits, retain);
}

bool S3Store::put_new(const std::string& name, std::string_view content, const Limits& limits) {
  check_name(name);
  const auto key = client_->full_key(name);
  if (find(name, limits)) return false;
  auto headers = retention_headers(*client_, Retain::yes);
  headers["if-none-match"] = "*";
  const auto made = client_->send({"PUT", key, {}, headers, content}, limits);
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
  const auto start = client_->full_key(folder), own = client_->full_key({});
  std::vector<Object> objects;
  std::map<std::string, std::string> query{{"list-type", "2"}, {"prefix", start.empty() ? "" : start + "/"}};
  std::string first;
  for (;;) {
    const auto response = client_->send({"GET", {}, query, {}, {}}, limits);
    if (!response.ok()) throw Failure{Exit::config, fmt::format("there is no bucket \"{}\"", client_->settings().address.bucket), "look at backup.store"};
    const auto page = parse_list_page(response.body);
    if (!page) no_list(*client_, response.body);
    for (const auto& item : page->items) {
      if (!own.empty() && !item.key.starts_with(own + "/")) continue;
      auto name = item.key.substr(own.empty() ? 0 : own.size() + 1);
      const bool hidden = name.starts_with('.') || name.find("/.") != std::string::npos;
      if (!hidden) objects.push_back({std::move(name), item.size});
    }
    if (!page->truncated) break;
    // Whatever a server means by a page: one that begins as the last did is no next one.
    const auto begins = page->items.empty() ? std::string{} : page->items.front().key;
    if (begins.empty() || begins == first) {
      throw Failure{Exit::unavailable, fmt::format("{} says that its list goes on, and gives the same page again", client_->describe()), "look at backup.s3.endpoint"};
    }
    first = begins;
    if (!page->token.empty()) {
      query["continuation-token"] = page->token;
    } else {
      // Without a token, as of the first version of the call: after the last name, by either version's parameter.
      query["start-after"] = query["marker"] = page->items.back().key;
    }
  }
  std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return objects;
}

void S3Store::remove(const std::string& name, const Limits& limits) {
  check_name(name);
  try {
    client_->send({"DELETE", client_->full_key(name), {}, {}, {}}, limits);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::config) throw;
    if (const auto until = retained_until(name, limits)) {
      throw Failure{Exit::locked, fmt::format("\"{}\" is locked in {} until {}", name, client_->describe(), to_rfc3339(*until)), "from then on it can be removed"};
    }
    throw Failure{Exit::config, fmt::format("\"{}\" may not be removed: {}", name, failure.message()),
                  failure.hint() == denied_hint ? "the key of backup.s3 lacks s3:DeleteObject; where it is meant to, the bucket's own lifecycle rules remove what is old" : failure.hint()};
  }
}

std::optional<WallTime> S3Store::retained_until(const std::string& name, const Limits& limits) {
  check_name(name);
  const auto head = client_->send({"HEAD", client_->full_key(name), {}, {}, {}}, limits);
  const auto until = parse_rfc3339(head.header("x-amz-object-lock-retain-until-date"));
  const auto now = parse_http_date(head.header("date")).value_or(client_->clock().now());
  return head.ok() && until && *until > now ? until : std::nullopt;
}

void S3Store::sweep(const std::string& folder, const Limits& limits) {
  std::map<std::string, std::string> query{{"uploads", ""}, {"prefix", client_->full_key(folder) + "/"}};
  for (;;) {
    const auto response = client_->send({"GET", {}, query, {}, {}}, limits);
    if (!response.ok()) return;
    for (const auto upload : xml_elements(response.body, "Upload")) {
      try {
        client_->send({"DELETE", xml_text(upload, "Key"), {{"uploadId", xml_text(upload, "UploadId")}}, {}, {}}, limits);
      } catch (const Failure& failure) {
        if (failure.code() != Exit::config) throw;
        return;  // a key that may not: nothing is listed that has no manifest
      }
    }
    const auto key = xml_text(response.body, "NextKeyMarker"), id = xml_text(response.body, "NextUploadIdMarker");
    const bool same = query["key-marker"] == key && query["upload-id-marker"] == id;
    if (xml_text(response.body, "IsTruncated") != "true" || key.empty() || same) return;
    query["key-marker"] = key;
    query["upload-id-marker"] = id;
  }
}

std::unique_ptr<StoreLock> S3Store::try_lock(const std::string& name, const Limits& limits, LockHolder* holder) {
  check_name(name);
  const auto slash = name.rfind('/');
  const auto key = client_->full_key(slash == std::string::npos ? "." + name + ".lock" : name.substr(0, slash) + "/." + name.substr(slash + 1) + ".lock");
  return take_s3_lock(client_, key, limits, holder);
}

}  // namespace codops::store

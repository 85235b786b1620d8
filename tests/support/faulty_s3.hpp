#pragma once
// The calls of S3 that codops makes, in memory, with faults on demand: what real servers don't do when asked.
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lib/io/crypto.hpp"
#include "lib/store/s3.hpp"
#include "tests/support/scripted_server.hpp"

namespace codops::tests {

class FaultyS3 {
 public:
  enum class Fault { none, internal, slow_down, reset, denied, expired, error_in_200, cut_short, stall, lost, bad_request, bad_digest };  // lost: done, and nobody is told
  struct Call {
    std::size_t number;  // from 1
    std::string method, path, query;
  };

  FaultyS3() : server_{[this](Peer& peer) { serve(peer); }} {}

  // Asked for each call, before anything happens.
  void fault(std::function<Fault(const Call&)> choose) {
    const std::lock_guard lock{mutex_};
    choose_ = std::move(choose);
    calls_.clear();
  }
  // Answers instead of the store: the whole of it, as answer() makes it; empty: none.
  void script(std::function<std::string(const Call&)> choose) {
    const std::lock_guard lock{mutex_};
    script_ = std::move(choose);
  }
  static std::string answer(int status, const std::string& body, const std::string& headers = {}) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
  }
  // As servers do that know only the first version of the list.
  void list_without_tokens() {
    const std::lock_guard lock{mutex_};
    tokens_ = false;
  }
  std::vector<Call> calls() const {
    const std::lock_guard lock{mutex_};
    return calls_;
  }
  std::vector<std::string> names() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> all;
    for (const auto& [name, content] : objects_) all.push_back(name);
    return all;
  }
  // As when the process that held them had died: this one, which plays it, lives on.
  void drop_locks() {
    const std::lock_guard lock{mutex_};
    std::erase_if(objects_, [](const auto& object) { return object.first.ends_with(".lock"); });
  }
  std::size_t open_uploads() const {
    const std::lock_guard lock{mutex_};
    return uploads_.size();
  }
  std::map<std::string, std::string> headers_of(const std::string& method) const {
    const std::lock_guard lock{mutex_};
    const auto found = last_headers_.find(method);
    return found == last_headers_.end() ? std::map<std::string, std::string>{} : found->second;
  }
  store::S3Settings settings(int attempts) const {
    store::S3Settings settings;
    settings.address = {"backups", ""};
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server_.port());
    settings.path_style = true;
    settings.credentials = {"key", Secret{"secret"}, {}};
    settings.part_size = 1U << 20U;
    settings.attempts = attempts;
    return settings;
  }

 private:
  struct Request {
    std::string method, path, query, body;
    std::map<std::string, std::string> headers;
  };

  static bool read(Peer& peer, std::string& left, Request& request) {
    auto end = left.find("\r\n\r\n");
    while (end == std::string::npos) {
      const auto more = peer.read_some();
      if (more.empty()) return false;
      left += more;
      end = left.find("\r\n\r\n");
    }
    const auto head = left.substr(0, end);
    left.erase(0, end + 4);
    const auto space = head.find(' '), second = head.find(' ', space + 1);
    request.method = head.substr(0, space);
    const auto target = head.substr(space + 1, second - space - 1);
    const auto mark = std::min(target.find('?'), target.size());
    request.path = target.substr(0, mark);
    request.query = mark < target.size() ? target.substr(mark + 1) : "";
    for (std::size_t at = head.find("\r\n"); at != std::string::npos;) {
      const auto next = head.find("\r\n", at + 2);
      const auto line = head.substr(at + 2, next == std::string::npos ? std::string::npos : next - at - 2);
      const auto colon = line.find(": ");
      if (colon != std::string::npos) {
        auto name = line.substr(0, colon);
        for (auto& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        request.headers[name] = line.substr(colon + 2);
      }
      at = next;
    }
    const auto length = request.headers.contains("content-length") ? std::stoul(request.headers["content-length"]) : 0UL;
    if (request.headers.contains("expect")) peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    while (left.size() < length) {
      const auto more = peer.read_some();
      if (more.empty()) return false;
      left += more;
    }
    request.body = left.substr(0, length);
    left.erase(0, length);
    return true;
  }

  static std::string error(int status, const std::string& code) { return answer(status, "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code></Error>"); }
  static std::string value(const std::string& query, const std::string& name) {
    const auto at = ("&" + query).find("&" + name + "=");
    if (at == std::string::npos) return {};
    const auto start = at + name.size() + 1;
    auto text = query.substr(start, query.find('&', start) - start);
    for (auto percent = text.find("%2F"); percent != std::string::npos; percent = text.find("%2F")) text.replace(percent, 3, "/");
    return text;
  }

  void serve(Peer& peer) {
    std::string left;
    Request request;
    while (read(peer, left, request)) {
      Fault fault = Fault::none;
      {
        const std::lock_guard lock{mutex_};
        calls_.push_back({calls_.size() + 1, request.method, request.path, request.query});
        last_headers_[request.method] = request.headers;
        if (choose_) fault = choose_(calls_.back());
        if (const auto scripted = script_ ? script_(calls_.back()) : std::string{}; !scripted.empty()) {
          peer.send(scripted);
          request = {};
          continue;
        }
      }
      switch (fault) {
        case Fault::internal: peer.send(error(500, "InternalError")); break;
        case Fault::slow_down: peer.send(error(503, "SlowDown")); break;
        case Fault::denied: peer.send(error(403, "AccessDenied")); break;
        case Fault::expired: peer.send(error(400, "ExpiredToken")); break;
        case Fault::error_in_200: peer.send(error(200, "InternalError")); break;
        case Fault::bad_request: peer.send(error(400, "InvalidRequest")); break;
        case Fault::bad_digest: peer.send(error(400, "BadDigest")); break;
        case Fault::reset: peer.reset(); return;
        case Fault::lost:
          handle(request);
          peer.reset();
          return;
        case Fault::stall: peer.wait_for_hangup(60'000); return;
        case Fault::cut_short: {
          const auto whole = handle(request);
          peer.send(whole.substr(0, whole.size() - std::min<std::size_t>(whole.size() / 2, 1000)));
          return;
        }
        case Fault::none: peer.send(request.method == "HEAD" ? without_body(handle(request)) : handle(request)); break;
      }
      request = {};
    }
  }
  static std::string without_body(const std::string& whole) { return whole.substr(0, whole.find("\r\n\r\n") + 4); }

  std::string handle(const Request& request) {
    const std::lock_guard lock{mutex_};
    constexpr std::string_view bucket = "/backups";
    const auto host = request.headers.find("host");
    const bool by_host = host != request.headers.end() && host->second.starts_with("backups.");
    auto key = request.path.substr(std::min(by_host ? 1 : bucket.size() + 1, request.path.size()));
    for (auto percent = key.find('%'); percent != std::string::npos; percent = key.find('%', percent + 1)) {
      key.replace(percent, 3, 1, static_cast<char>(std::stoi(key.substr(percent + 1, 2), nullptr, 16)));
    }
    const auto upload = value(request.query, "uploadId");
    if (request.method == "POST" && request.query.starts_with("uploads")) {
      const auto id = "u" + std::to_string(++upload_count_);
      uploads_[id] = {key, {}};
      return answer(200, "<R><UploadId>" + id + "</UploadId></R>");
    }
    if (request.method == "PUT" && !upload.empty()) {
      uploads_[upload].second[std::stoi(value(request.query, "partNumber"))] = request.body;
      return answer(200, "", "ETag: \"" + io::sha256_hex(request.body) + "\"\r\n");
    }
    if (!upload.empty() && !uploads_.contains(upload)) return error(404, "NoSuchUpload");
    if (request.method == "POST" && !upload.empty()) {
      std::string all;
      for (const auto& [number, part] : uploads_[upload].second) all += part;
      objects_[key] = all;
      uploads_.erase(upload);
      return answer(200, "<R><ETag>x</ETag></R>");
    }
    if (request.method == "DELETE" && !upload.empty()) {
      uploads_.erase(upload);
      return answer(204, "");
    }
    if (request.method == "GET" && key.empty() && request.query.find("uploads") != std::string::npos) {
      // Three at a time, as of objects.
      std::string body = "<R>";
      int count = 0;
      for (const auto& [id, what] : uploads_) {
        if (!what.first.starts_with(value(request.query, "prefix")) || id <= value(request.query, "upload-id-marker")) continue;
        body += "<Upload><Key>" + what.first + "</Key><UploadId>" + id + "</UploadId></Upload>";
        if (++count < 3) continue;
        body += "<IsTruncated>true</IsTruncated><NextKeyMarker>" + what.first + "</NextKeyMarker><NextUploadIdMarker>" + id + "</NextUploadIdMarker>";
        break;
      }
      return answer(200, body + "</R>");
    }
    if (request.method == "GET" && key.empty()) return list(value(request.query, "prefix"), value(request.query, "continuation-token"), value(request.query, "marker"));
    if (request.method == "PUT") {
      if (request.headers.contains("if-none-match") && objects_.contains(key)) return error(412, "PreconditionFailed");
      if (const auto match = request.headers.find("if-match"); match != request.headers.end()) {
        if (!objects_.contains(key)) return error(404, "NoSuchKey");
        if (match->second != "\"" + io::sha256_hex(objects_.at(key)) + "\"") return error(412, "PreconditionFailed");
      }
      objects_[key] = request.body;
      return answer(200, "", "ETag: \"" + io::sha256_hex(request.body) + "\"\r\n");
    }
    if (request.method == "DELETE") {
      objects_.erase(key);
      return answer(204, "");
    }
    const auto found = objects_.find(key);
    if (found == objects_.end()) return error(404, "NoSuchKey");
    const auto tag = "ETag: \"" + io::sha256_hex(found->second) + "\"\r\n";
    const auto range = request.headers.find("range");
    if (range == request.headers.end()) return answer(200, found->second, tag);
    const auto dash = range->second.find('-');
    const auto from = std::stoul(range->second.substr(6, dash - 6)), to = std::stoul(range->second.substr(dash + 1));
    return answer(206, found->second.substr(from, to - from + 1), tag);
  }

  // Three at a time, so that every list has pages.
  std::string list(const std::string& prefix, const std::string& token, const std::string& marker) const {
    std::string body = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    int count = 0;
    for (const auto& [name, content] : objects_) {
      if (!name.starts_with(prefix) || (tokens_ && !token.empty() && name < token) || (!tokens_ && !marker.empty() && name <= marker)) continue;
      if (++count == 4) {
        return answer(200, body + "<IsTruncated>true</IsTruncated>" + (tokens_ ? "<NextContinuationToken>" + name + "</NextContinuationToken>" : "") + "</ListBucketResult>");
      }
      body += "<Contents><Key>" + name + "</Key><Size>" + std::to_string(content.size()) + "</Size></Contents>";
    }
    return answer(200, body + "<IsTruncated>false</IsTruncated></ListBucketResult>\n");
  }

  mutable std::mutex mutex_;
  std::function<Fault(const Call&)> choose_;
  std::function<std::string(const Call&)> script_;
  bool tokens_{true};
  std::vector<Call> calls_;
  std::map<std::string, std::map<std::string, std::string>> last_headers_;
  std::map<std::string, std::string> objects_;
  std::map<std::string, std::pair<std::string, std::map<int, std::string>>> uploads_;
  int upload_count_{};
  ScriptedServer server_;
};

}  // namespace codops::tests

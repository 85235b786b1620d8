#pragma once
// Where backups are kept: objects by name, behind one interface. Every implementation passes the same conformance
// suite (tests/support/store_conformance.hpp).
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/io/byte_stream.hpp"

namespace codops::store {

// Names are relative paths of [A-Za-z0-9._=+-] segments joined by '/'; no segment begins with a dot.
// Failure{bug} for any other.
void check_name(std::string_view name);

struct Object {
  std::string name;
  std::uint64_t size{};
};

// Nothing is visible under the name before commit() returns; destroyed without it, nothing stays.
class Upload : public io::Writer {
 public:
  void finish() override {}     // the end of the bytes; publication is commit()
  virtual void commit() = 0;    // durable and visible, replacing what had the name
  virtual std::uint64_t size() const = 0;
};

// Held while it lives.
class StoreLock {
 public:
  virtual ~StoreLock() = default;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual std::string describe() const = 0;  // "/backups/shop", "s3://bucket/shop"

  virtual std::unique_ptr<Upload> create(const std::string& name, const Limits& limits) = 0;
  // Throws Failure{data} when there is no such object, and Failure{data} from read() when it ends too early.
  virtual std::unique_ptr<io::Reader> open(const std::string& name, const Limits& limits) = 0;
  virtual std::optional<Object> find(const std::string& name, const Limits& limits) = 0;
  // Every object below `folder` ("" for all), sorted by name.
  virtual std::vector<Object> list(const std::string& folder, const Limits& limits) = 0;
  virtual void remove(const std::string& name, const Limits& limits) = 0;  // absent is fine
  // What a killed upload left in `folder` or a folder of it that holds nothing else (what holds something may be at work):
  // temporary files, unfinished multipart uploads.
  virtual void sweep(const std::string& folder, const Limits& limits) = 0;
  // nullptr: somebody else holds it.
  virtual std::unique_ptr<StoreLock> try_lock(const std::string& name, const Limits& limits) = 0;

  void put(const std::string& name, std::string_view content, const Limits& limits);
  // False, and nothing is changed, when there is something else under that name.
  virtual bool put_new(const std::string& name, std::string_view content, const Limits& limits) = 0;
  // nullopt when absent; Failure{data} beyond the cap.
  std::optional<std::string> get(const std::string& name, const Limits& limits, std::size_t cap = 64U << 20U);
};

}  // namespace codops::store

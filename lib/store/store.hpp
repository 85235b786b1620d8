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

// Whether the store's own retention (object lock), where it is set, holds an object: for what never changes again.
enum class Retain { no, yes };

// Held while it lives.
class StoreLock {
 public:
  virtual ~StoreLock() = default;
  // Failure{locked}: somebody else has taken it over meanwhile.
  virtual void check() {}
};

// Whoever holds a lock; what is not known is empty.
struct LockHolder {
  std::string host;
  std::int64_t pid{};
  std::optional<WallTime> since;
  std::optional<Milliseconds> silent;            // since its last sign of life
  std::optional<Milliseconds> taken_over_after;  // of silence

  std::string text() const;    // "pid 4711 on backup1, since 2026-11-23T10:15:00Z, last sign of life 12s ago"; empty: nobody knows
  std::string remedy() const;  // what to type
};

class Store {
 public:
  virtual ~Store() = default;
  virtual std::string describe() const = 0;  // "/backups/shop", "s3://bucket/shop"

  virtual std::unique_ptr<Upload> create(const std::string& name, const Limits& limits, Retain retain = Retain::no) = 0;
  // Throws Failure{data} when there is no such object, and Failure{data} from read() when it ends too early.
  virtual std::unique_ptr<io::Reader> open(const std::string& name, const Limits& limits) = 0;
  virtual std::optional<Object> find(const std::string& name, const Limits& limits) = 0;
  // Every object below `folder` ("" for all), sorted by name.
  virtual std::vector<Object> list(const std::string& folder, const Limits& limits) = 0;
  // Absent is fine. Failure{locked}: the store's retention holds it; {config}: the key may not remove anything.
  virtual void remove(const std::string& name, const Limits& limits) = 0;
  // Until when the store's retention holds it; nullopt: it does not.
  virtual std::optional<WallTime> retained_until(const std::string& name, const Limits& limits) = 0;
  // What a killed upload left in `folder` or a folder of it that holds nothing else (what holds something may be at work):
  // temporary files, unfinished multipart uploads.
  virtual void sweep(const std::string& folder, const Limits& limits) = 0;
  // nullptr: somebody else holds it, `holder` says who.
  virtual std::unique_ptr<StoreLock> try_lock(const std::string& name, const Limits& limits, LockHolder* holder = nullptr) = 0;

  void put(const std::string& name, std::string_view content, const Limits& limits, Retain retain = Retain::no);
  // Retained. False, and nothing is changed, when there is something else under that name.
  virtual bool put_new(const std::string& name, std::string_view content, const Limits& limits) = 0;
  // nullopt when absent; Failure{data} beyond the cap.
  std::optional<std::string> get(const std::string& name, const Limits& limits, std::size_t cap = 64U << 20U);
};

}  // namespace codops::store

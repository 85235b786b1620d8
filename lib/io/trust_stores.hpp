#pragma once
// The PEM files that checks name, read once each, and the root stores made of them: reading the system's takes milliseconds, and no
// descriptor may be spent on it per probe.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/io/errand.hpp"
#include "lib/io/probe.hpp"

struct x509_store_st;

namespace codops::io {

// Either the text or why there is none, in the system's words.
struct Pem {
  std::string text, trouble;
};

class TrustStores {
 public:
  TrustStores();
  ~TrustStores();
  TrustStores(const TrustStores&) = delete;
  TrustStores& operator=(const TrustStores&) = delete;

  // Throws Failure{config} when the file can't be read or has no certificate. Empty: the system's.
  x509_store_st* get(const std::string& ca_file);
  // Read now, unless it is known: a FIFO or a file server that is gone would hold everything up. See read().
  Pem pem(const std::string& file);

  // Files of `trust` that were not read yet.
  std::vector<std::string> unread(const Trust& trust) const;
  // Reads them on threads; `done` comes on the loop, unless the errand is gone by then. One that can't be read stays unread, for pem() to
  // tell why. Null, and no `done`: there is nothing to read, or no thread to do it.
  Errand read(EventLoop& loop, const Trust& trust, std::function<void()> done);

 private:
  struct Waiting {
    std::size_t files;
    std::function<void()> done;
  };
  struct Reading {
    Errand errand;
    std::vector<std::weak_ptr<Waiting>> waiting;
  };
  void take(const std::string& file, const Pem& pem);

  struct Stores;
  std::unique_ptr<Stores> stores_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, Reading> readings_;
};

}  // namespace codops::io

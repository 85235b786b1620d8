#pragma once
// One attempt at one check: starts the probe that fits and turns its answer into a finding.
#include <functional>
#include <memory>
#include <optional>

#include "lib/health/check.hpp"

namespace codops::health {

// What all attempts of a run share.
struct Network {
  Network(std::size_t lookups, io::Resolver::Lookup lookup, const Limits& limits);
  io::HttpProber& http();  // made when it is first asked for: libcurl costs memory and time
  io::EventLoop loop;
  io::Resolver resolver;
  io::TrustStores stores;
  Limits limits;        // for what is asked on threads

 private:
  std::optional<io::HttpProber> http_;
};

struct Answer {
  Finding finding;
  Outcome facts;     // address, times, tls, HTTP facts of the attempt
  bool busy{false};  // this process had no room: not an attempt at all
};

// The probe must not be destroyed inside `done`, which comes once, on the loop.
std::unique_ptr<io::Probe> start_attempt(Network& network, const Check& check, std::function<void(Answer)> done);
// Descriptors that an attempt may need at a time.
std::size_t files_of(const Check& check);

}  // namespace codops::health

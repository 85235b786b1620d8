#pragma once
// Hand-written fakes shared by unit tests.
#include <map>
#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/reporter.hpp"
#include "lib/target/state.hpp"

namespace codops::tests {

class ManualClock final : public Clock {
 public:
  WallTime now() const override { return wall; }
  std::chrono::steady_clock::time_point steady() const override { return steady_now; }
  Milliseconds since_boot() const override { return boot; }
  void advance(Milliseconds by) {
    wall += by;
    steady_now += by;
    boot += by;
  }
  WallTime wall{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23}};
  std::chrono::steady_clock::time_point steady_now{};
  Milliseconds boot{100'000};
};

class MemoryState final : public target::StateStore {
 public:
  std::optional<std::string> read(const std::string& path, const Limits&) override {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional{found->second};
  }
  std::vector<File> read_all(const std::string& folder, const Limits&) override {
    std::vector<File> all;
    for (const auto& [path, content] : files) {
      if (path.starts_with(folder + "/")) all.push_back({path, content});
    }
    return all;
  }
  void write(const std::vector<File>& written, const Limits&) override {
    for (const auto& file : written) files[file.path] = file.content;
  }
  void remove(const std::vector<std::string>& paths, const Limits&) override {
    for (const auto& path : paths) files.erase(path);
  }
  std::map<std::string, std::string> files;
};

class RecordingReporter final : public Reporter {
 public:
  void report(const Event& event) override { events.push_back(event); }
  std::vector<Event> events;
};

}  // namespace codops::tests

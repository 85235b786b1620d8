#include "lib/ops/logs.hpp"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "lib/engine/docker/api.hpp"

namespace codops::ops {
namespace {

// Cuts a stream into lines with a prefix; lines of several containers never mix.
class LinePrinter {
 public:
  LinePrinter(std::string prefix, std::mutex& mutex, std::atomic<bool>& wanted, const std::function<bool(std::string_view)>& write)
      : prefix_{std::move(prefix)}, mutex_{mutex}, wanted_{wanted}, write_{write} {}
  ~LinePrinter() {
    if (!line_.empty()) put();
  }
  LinePrinter(const LinePrinter&) = delete;
  LinePrinter& operator=(const LinePrinter&) = delete;

  void feed(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n') put();
      else line_ += c;
    }
  }

 private:
  void put() {
    const auto text = fmt::format("{}  {}\n", prefix_, std::exchange(line_, {}));
    const std::lock_guard guard{mutex_};
    if (wanted_ && !write_(text)) wanted_ = false;
  }

  std::string prefix_, line_;
  std::mutex& mutex_;
  std::atomic<bool>& wanted_;
  const std::function<bool(std::string_view)>& write_;
};

}  // namespace

void stream_logs(Host& host, const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits) {
  std::vector<target::Container> containers;
  for (auto& container : host.containers().list({}, !request.follow, limits)) {
    const auto& wanted = request.services;
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), container.service) != wanted.end()) containers.push_back(std::move(container));
  }
  if (containers.empty()) {
    throw Failure{Exit::usage, request.services.empty() ? "no container runs" : fmt::format("no container of {} is there", fmt::join(request.services, ", ")),
                  fmt::format("codops status {}", host.environment().name)};
  }
  std::size_t width = 0;
  for (auto& container : containers) {
    if (container.name.starts_with(host.project() + "-")) container.name.erase(0, host.project().size() + 1);
    width = std::max(width, container.name.size());
  }
  std::mutex mutex;
  std::atomic<bool> wanted{true};
  CancelSource nobody_reads;
  std::optional<Failure> failed;
  const auto follow_one = [&](const target::Container& container) {
    LinePrinter out{fmt::format("{:<{}}", container.name, width), mutex, wanted, write};
    LinePrinter err{fmt::format("{:<{}}", container.name, width), mutex, wanted, write};
    const auto checked = [&](LinePrinter& printer, std::string_view bytes) {
      printer.feed(bytes);
      if (!wanted) throw Failure{Exit::interrupted, "nobody reads the output any more"};
    };
    try {
      host.api().logs(container.id, {.tail = request.tail, .follow = request.follow, .timestamps = request.timestamps},
                      [&](std::string_view bytes) { checked(out, bytes); }, [&](std::string_view bytes) { checked(err, bytes); }, limits);
    } catch (const Failure& failure) {
      const std::lock_guard guard{mutex};
      if (wanted && !failed) failed = failure;
    }
  };
  if (!request.follow) {
    for (const auto& container : containers) follow_one(container);
  } else {
    std::vector<std::thread> threads;
    for (const auto& container : containers) threads.emplace_back([&, &one = container] { follow_one(one); });
    for (auto& thread : threads) thread.join();
  }
  if (failed) throw *failed;
}

}  // namespace codops::ops

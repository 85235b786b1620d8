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

void print_logs(std::vector<target::Container> containers, const LogsRequest& request, const std::string& environment, const std::string& prefix, const LogsOfOne& read,
                const std::function<bool(std::string_view)>& write) {
  const auto& asked = request.services;
  std::erase_if(containers, [&](const auto& one) { return !asked.empty() && std::find(asked.begin(), asked.end(), one.service) == asked.end(); });
  if (containers.empty()) {
    throw Failure{Exit::usage, asked.empty() ? "no container runs" : fmt::format("no container of {} is there", fmt::join(asked, ", ")),
                  fmt::format("codops status {}", environment)};
  }
  std::size_t width = 0;
  std::vector<std::string> names;
  for (const auto& container : containers) {
    names.push_back(!prefix.empty() && container.name.starts_with(prefix) ? container.name.substr(prefix.size()) : container.name);
    width = std::max(width, names.back().size());
  }
  std::mutex mutex;
  std::atomic<bool> wanted{true};
  std::optional<Failure> failed;
  const auto read_one = [&](std::size_t index) {
    LinePrinter out{fmt::format("{:<{}}", names[index], width), mutex, wanted, write};
    LinePrinter err{fmt::format("{:<{}}", names[index], width), mutex, wanted, write};
    const auto checked = [&](LinePrinter& printer, std::string_view bytes) {
      printer.feed(bytes);
      if (!wanted) throw Failure{Exit::interrupted, "nobody reads the output any more"};
    };
    try {
      read(containers[index], [&](std::string_view bytes) { checked(out, bytes); }, [&](std::string_view bytes) { checked(err, bytes); });
    } catch (const Failure& failure) {
      const std::lock_guard guard{mutex};
      if (wanted && !failed) failed = failure;
    }
  };
  if (!request.follow) {
    for (std::size_t index = 0; index < containers.size(); ++index) read_one(index);
  } else {
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < containers.size(); ++index) threads.emplace_back([&, index] { read_one(index); });
    for (auto& thread : threads) thread.join();
  }
  if (failed) throw *failed;
}

void stream_logs(Host& host, const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits) {
  const auto read = [&](const target::Container& container, const target::Sink& out, const target::Sink& err) {
    host.api().logs(container.id, {.tail = request.tail, .follow = request.follow, .timestamps = request.timestamps}, out, err, limits);
  };
  print_logs(host.containers().list({}, !request.follow, limits), request, host.environment().name, host.project() + "-", read, write);
}

}  // namespace codops::ops

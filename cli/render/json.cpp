#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/render/display.hpp"

namespace codops::cli::render {
namespace {

std::string_view name_of(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::started: return "started";
    case Event::Kind::progress: return "progress";
    case Event::Kind::done: return "done";
    case Event::Kind::skipped: return "skipped";
    case Event::Kind::failed: return "failed";
    case Event::Kind::undone: return "undone";
    case Event::Kind::note: return "note";
    case Event::Kind::warning: return "warning";
  }
  return "note";
}

class Json final : public Display {
 public:
  Json(Stream& stream, const Clock& clock) : stream_{stream}, clock_{clock} {}

  void report(const Event& event) override {
    const std::lock_guard lock{mutex_};
    stream_.write(event_json(event, clock_.now()) + "\n");
  }

 private:
  Stream& stream_;
  const Clock& clock_;
  std::mutex mutex_;
};

}  // namespace

std::string event_json(const Event& event, WallTime time) {
  nlohmann::ordered_json object;
  object["time"] = to_rfc3339(time);
  object["event"] = name_of(event.kind);
  if (!event.step.empty()) object["step"] = event.step;
  if (!event.text.empty()) object["text"] = event.text;
  if (!event.details.empty()) object["details"] = event.details;
  if (event.elapsed) object["seconds"] = static_cast<double>(event.elapsed->count()) / 1000;
  if (event.current) object["current"] = *event.current;
  if (event.total) object["total"] = *event.total;
  // Evidence may hold any bytes.
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::unique_ptr<Display> make_json(Stream& stream, const Clock& clock) { return std::make_unique<Json>(stream, clock); }

}  // namespace codops::cli::render

#include "lib/ops/run_record.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace codops::ops {

std::string run_name(WallTime now, const std::string& token, const std::string& last) {
  std::string time;
  for (const char c : to_rfc3339(now)) {
    if (c != '-' && c != ':') time += c;
  }
  const auto last_time = last.substr(0, last.rfind('-'));
  if (time <= last_time) time = last_time + "0";
  return time + "-" + token;
}

std::string newest_run(const release::Snapshot& snapshot) { return snapshot.journals.empty() ? std::string{} : snapshot.journals.back().run; }

std::string result_of(const plan::Outcome& outcome) {
  if (outcome.done) return "ok";
  if (outcome.exit == Exit::undo_failed) return "undo failed";
  return "undone";
}

release::HistoryEntry entry_for(const plan::Plan& plan, WallTime started, const target::LockOwner& owner) {
  release::HistoryEntry entry;
  entry.action = plan.verb;
  entry.release = plan.release;
  entry.from = plan.from;
  entry.version = plan.version;
  entry.from_version = plan.from_version;
  entry.started = started;
  entry.by = owner.owner;
  entry.host = owner.host;
  return entry;
}

bool was_proven(const plan::Plan& plan, std::size_t last) { return last > 0 && plan.steps[last - 1].phase == plan::Phase::proven; }

bool had_begun(const plan::Record& record) {
  return !record.damaged.empty() ||
         std::any_of(record.entries.begin(), record.entries.end(), [](const plan::Entry& entry) { return entry.event != "planned"; });
}

bool had_finished(const plan::Record& record) {
  return !had_turned_back(record) &&
         std::any_of(record.entries.begin(), record.entries.end(), [](const plan::Entry& entry) { return entry.event == "doing" && entry.step == plan::post_deploy; });
}

std::string words_of_finished(const plan::Record& record, const plan::Plan& plan) {
  if (!record.open_hooks().empty()) {
    return fmt::format("the run died within its post_deploy hooks: those of release {} may not have run to their end, and are not run again", plan.release);
  }
  std::string text = "the run died before its record was written, all its steps were done";
  for (const auto& entry : record.entries) {
    if (entry.event == "done" && entry.step == plan::post_deploy && !entry.text.empty()) text += "; " + entry.text;
  }
  return text;
}

std::string words_of_open_hooks(const plan::Record& record) {
  const auto plan = record.plan();
  return fmt::format("the {} hooks of {} may not have run to their end: codops died meanwhile; they are not run again", record.open_hooks(),
                     plan ? fmt::format("{} {} (release {})", plan->verb, plan->version, plan->release) : "run " + record.run);
}

bool had_turned_back(const plan::Record& record) {
  return std::any_of(record.entries.begin(), record.entries.end(), [](const plan::Entry& entry) { return entry.event == "undoing"; });
}

}  // namespace codops::ops

#include <fmt/format.h>

#include "lib/io/crypto.hpp"
#include "lib/migrate/splitter.hpp"
#include "lib/migrate/stepwise.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

std::string digest_with(const std::string& before, const Script& script, const Statement& statement) {
  io::Sha256 hash;
  hash.update(before).update(";").update(statement.sql(script.text));
  if (statement.has_data()) hash.update(std::string_view{script.text}.substr(statement.data_begin, statement.data_end - statement.data_begin));
  return hash.hex();
}

std::string digest_of(const Script& script, std::size_t statements) {
  std::string digest = "none";
  for (std::size_t i = 0; i < statements; ++i) digest = digest_with(digest, script, script.statements[i]);
  return digest;
}

}  // namespace

Stepwise::Stepwise(Session& session, const History& history, const Migration& migration, const Script& script, const std::optional<Progress>& earlier, std::string taken_back)
    : session_{session}, history_{history}, migration_{migration}, script_{script}, taken_back_{std::move(taken_back)}, continues_{earlier.has_value()}, memory_{script.text, {}} {
  progress_.taking_back = !taken_back_.empty();
  for (const auto& parsed : script.parsed) changes_user_ = changes_user_ || (parsed.kind == Parsed::Kind::set && parsed.value == "authorization");
  progress_.total = script.statements.size();
  if (earlier) {
    progress_.done = earlier->done;
    progress_.started = earlier->started;
    progress_.notes = earlier->notes;
    memory_ = SessionMemory{script_.text, earlier->notes};
  }
  if (earlier && (earlier->done > progress_.total || earlier->digest != digest_of(script, earlier->done))) {
    throw Failure{Exit::data,
                  fmt::format("\"{}\" was edited in its first {} of {} statements, which have run already", migration.name, earlier->done, earlier->total),
                  fmt::format("restore them; or finish by hand, then: codops migrate resolve {} --{} {}", session.options().subject, progress_.taking_back ? "rolled-back" : "applied",
                              shell_word(migration.name))};
  }
  progress_.digest = digest_of(script, progress_.done);
}

// The first record of an attempt comes with what it is about: one that did nothing leaves no trace of having begun.
std::string Stepwise::recording(const Progress& progress) const {
  if (progress.taking_back) return history_.taking_back(migration_, attempt_, progress);
  return recorded_ ? history_.progressed(migration_, attempt_, progress) : history_.begun(migration_, attempt_, progress);
}

// The script may have become another role by now, one that has no right to the history; and it goes on as that role afterwards.
std::string Stepwise::own_rights() const {
  return std::string{"SET LOCAL statement_timeout = 0; "} + (changes_user_ ? "SET LOCAL SESSION AUTHORIZATION DEFAULT; " : "") + "SET LOCAL role TO DEFAULT; ";
}

// In the transaction that is open.
void Stepwise::write_inside(const Progress& progress) { run_recording(own_rights() + session_.commit_check() + recording(progress)); }

// In one of its own, whatever the session's default is.
std::string Stepwise::recording_alone(const Progress& progress) const {
  return "BEGIN READ WRITE; " + own_rights() + session_.commit_check() + recording(progress) + " COMMIT";
}

void Stepwise::write(const Progress& progress) {
  run_recording(recording_alone(progress));
  recorded_ = true;
}

void Stepwise::run_recording(const std::string& text) {
  try {
    connection().run(text, session_.limits());
  } catch (const pg::DatabaseError& error) {
    not_recorded(error);
  }
}

void Stepwise::not_recorded(const pg::DatabaseError& error) {
  if (is_contention(error) || error.lost()) throw error;
  auto culprit = next_;
  throw recording_error(script_, history_, error, culprit);
}

// The script's limits are lifted in the same message.
void Stepwise::mark_started() {
  progress_.started = true;
  progress_.notes = memory_.notes();
  if (!limits_back_.empty()) return write(progress_);
  const auto text = recording_alone(progress_);
  try {
    limits_back_ = session_.limits_of(connection().run(text + "; " + session_.lifting(), session_.limits()).selected);
  } catch (const pg::DatabaseError& error) {
    if (error.completed < split(text).size()) not_recorded(error);
    recorded_ = true;
    throw;
  }
  recorded_ = true;
}

// Text that ends with the record's COMMIT. Behind a statement that may have changed the session by a function the settings are looked at in the
// same message: only once it is committed can what is SET for good be told from what was SET LOCAL.
void Stepwise::commit(const std::string& text) {
  const bool looks = memory_.may_change(parsed());
  pg::Rows looked;
  try {
    looked = connection().run(looks ? text + "; " + memory_.looking() : text, session_.limits()).selected;
  } catch (const pg::DatabaseError& error) {
    if (!looks || error.completed < split(text).size()) not_recorded(error);
    advance();
    throw;
  }
  advance();
  if (looks) remember(looked);
}

// Behind the statement; the script's limits are put back in the same message.
void Stepwise::save() {
  const auto back = std::exchange(limits_back_, {});
  commit((back.empty() ? "" : back + "; ") + recording_alone(after_this()));
}

void Stepwise::advance() {
  progress_ = after_this();
  recorded_ = true;
  memory_.indexes(std::nullopt);
}

Progress Stepwise::after_this() const {
  auto progress = progress_;
  progress.done = next_ + 1;
  progress.started = false;
  for (auto i = progress_.done; i < progress.done; ++i) progress.digest = digest_with(progress.digest, script_, script_.statements[i]);
  auto memory = memory_;
  memory.indexes(std::nullopt);
  progress.notes = memory.notes();
  return progress;
}

void Stepwise::remember(const pg::Rows& looked) {
  if (!memory_.saw(looked, progress_.done)) return;
  progress_.notes = memory_.notes();
  write(progress_);
}

// Whether a commit that got no answer took place, only the history knows.
void Stepwise::read_back() {
  for (const auto& entry : history_.read(connection(), Limits{Deadline::after(Milliseconds{10'000}), {}})) {
    if (entry.key != migration_.key || (!progress_.taking_back && entry.id != attempt_.id)) continue;
    const auto progress = history_.progress_of(entry);
    if (!progress || progress->taking_back != progress_.taking_back || progress->done < progress_.done) continue;
    progress_ = *progress;
    recorded_ = true;
  }
}

void Stepwise::fail_here(const pg::DatabaseError& error) {
  session_.roll_back();
  if (error.lost()) {
    session_.reconnect(history_);
    read_back();
  }
  const auto base = next_ < progress_.total ? script_.statements[next_].start : 0;
  auto located = locate(migration_, script_, next_, base, error.diagnostic());
  const bool nothing_done = !continues_ && !recorded_ && progress_.done == 0 && !progress_.started;
  try {
    auto progress = progress_;
    progress.error = to_log(located);
    if (!nothing_done) session_.record(recording(progress));
    else if (!progress_.taking_back) session_.record(history_.refused(migration_, attempt_, progress.error));
  } catch (const pg::DatabaseError& unrecorded) {
    session_.reporter().warn(fmt::format("how far \"{}\" came could not be recorded: {}", migration_.name, unrecorded.message()));
  }
  if (nothing_done) fail(session_, migration_, script_, next_, base, error, "rolled back, nothing of it stays", blockers_, hint_to_retry(error));
  fail(session_, migration_, script_, next_, base, error, fmt::format("{} of {} statements are done and stay", progress_.done, progress_.total), blockers_,
       fmt::format("correct the rest and run it again: it continues with statement {}; or codops migrate resolve {} --rolled-back {}",
                   progress_.done + 1, session_.options().subject, shell_word(migration_.name)));
}

}  // namespace codops::migrate

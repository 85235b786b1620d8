#include "lib/backup/custom_archive.hpp"

#include "lib/backup/database_settings.hpp"

#include <optional>

#include "lib/base/failure.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view magic = "PGDMP";
constexpr char block_data = 1, block_large_objects = 3;
constexpr int section_post_data = 4;
constexpr std::size_t largest_toc = 512U << 20U;

[[noreturn]] void damaged(std::string_view why) {
  throw Failure{Exit::data, fmt::format("this is no whole dump of pg_dump: {}", why)};
}

struct NeedMore {};

// Reads the head from what is there; NeedMore when that is not enough yet.
class HeadReader {
 public:
  explicit HeadReader(std::string_view bytes) : bytes_{bytes} {}

  std::uint8_t byte() {
    if (at_ >= bytes_.size()) throw NeedMore{};
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  std::int64_t integer() {
    const bool negative = byte() != 0;
    std::int64_t value = 0;
    for (std::size_t i = 0; i < int_size; ++i) value |= std::int64_t{byte()} << (8 * i);
    return negative ? -value : value;
  }
  std::optional<std::string> text() {
    const auto size = integer();
    if (size < 0) return std::nullopt;
    if (static_cast<std::uint64_t>(size) > largest_toc) damaged("a name is too long");
    if (bytes_.size() - at_ < static_cast<std::size_t>(size)) throw NeedMore{};
    at_ += static_cast<std::size_t>(size);
    return std::string{bytes_.substr(at_ - static_cast<std::size_t>(size), static_cast<std::size_t>(size))};
  }
  std::string word() { return text().value_or(""); }
  void skip(std::size_t count) {
    if (bytes_.size() - at_ < count) throw NeedMore{};
    at_ += count;
  }
  std::size_t at() const { return at_; }

  std::size_t int_size{4}, offset_size{8};

 private:
  std::string_view bytes_;
  std::size_t at_{};
};

TocEntry read_entry(HeadReader& in, int minor) {
  TocEntry entry;
  entry.id = static_cast<int>(in.integer());
  entry.has_data = in.integer() != 0;
  in.text();  // table oid
  in.text();  // oid
  entry.tag = in.word();
  entry.description = in.word();
  entry.section = static_cast<int>(in.integer());
  auto definition = in.word();
  if (entry.section == section_data || entry.description == "ENCODING" || entry.description == "PUBLICATION" || about_database(entry.description, entry.tag)) entry.definition = std::move(definition);
  in.text();  // drop statement
  entry.copy_statement = in.word();
  entry.schema = in.word();
  in.text();                     // tablespace
  if (minor >= 14) in.text();    // table access method
  if (minor >= 16) in.integer(); // kind of relation
  entry.owner = in.word();
  in.text();  // "false": with OIDs
  while (in.text()) {
  }  // dependencies
  in.skip(1 + in.offset_size);
  return entry;
}

ArchiveHead read_head(HeadReader& in, std::size_t& int_size) {
  in.skip(magic.size());
  ArchiveHead head;
  const auto major = in.byte();
  head.minor = in.byte();
  in.byte();  // revision
  if (major != 1 || head.minor < 12 || head.minor > 16) {
    throw Failure{Exit::data, fmt::format("the dump has archive version {}.{}, which this codops does not know", major,
                                          head.minor)};
  }
  in.int_size = int_size = in.byte();
  in.offset_size = in.byte();
  if (in.int_size == 0 || in.int_size > 8 || in.offset_size > 8) damaged("odd number sizes");
  if (in.byte() != 1) damaged("not the custom format");
  head.compressed = head.minor >= 15 ? in.byte() != 0 : in.integer() != 0;
  for (int i = 0; i < 7; ++i) in.integer();  // time of creation
  head.database = in.word();
  head.server_version = in.word();
  head.dump_version = in.word();
  head.int_size = in.int_size;
  head.offset_size = in.offset_size;
  head.count_at = in.at();
  for (auto count = in.integer(); count > 0; --count) {
    const auto at = in.at();
    head.entries.push_back(read_entry(in, head.minor));
    if (auto& entry = head.entries.back(); entry.description == "ENCODING") {
      // SET client_encoding = 'UTF8';
      const auto open = entry.definition.find('\''), close = entry.definition.rfind('\'');
      if (open != std::string::npos && close > open) head.encoding = entry.definition.substr(open + 1, close - open - 1);
    }
    if (head.post_data_at == 0 && head.entries.back().section == section_post_data) head.post_data_at = at;
  }
  if (head.post_data_at == 0) head.post_data_at = in.at();
  return head;
}

}  // namespace

namespace {

class TocWriter {
 public:
  TocWriter(std::size_t int_size) : int_size_{int_size} {}
  TocWriter& integer(std::int64_t value) {
    text += value < 0 ? '\1' : '\0';
    const auto magnitude = static_cast<std::uint64_t>(value < 0 ? -value : value);
    for (std::size_t i = 0; i < int_size_; ++i) text += static_cast<char>((magnitude >> (8 * i)) & 0xffU);
    return *this;
  }
  TocWriter& word(std::string_view value) {
    integer(static_cast<std::int64_t>(value.size()));
    text.append(value);
    return *this;
  }
  TocWriter& nothing() { return integer(-1); }
  std::string text;

 private:
  std::size_t int_size_;
};

}  // namespace

std::string with_table_data(const ArchiveHead& head, std::vector<AddedData>& added) {
  constexpr char position_not_set = 1;
  int next_id = 0;
  for (const auto& entry : head.entries) next_id = std::max(next_id, entry.id);
  TocWriter entries{head.int_size};
  for (auto& data : added) {
    const auto table = std::find_if(head.entries.begin(), head.entries.end(), [&](const TocEntry& entry) {
      return entry.description == "TABLE" && (entry.table() == data.table || plain_name(entry.table()) == data.table);
    });
    if (table == head.entries.end()) damaged(fmt::format("\"{}\" has rows but no definition", data.table));
    data.id = ++next_id;
    entries.integer(data.id).integer(1).word("0").word("0").word(table->tag).word("TABLE DATA").integer(section_data);
    entries.word("").word("").word("COPY " + data.copy + " FROM stdin;\n").word(table->schema).nothing();
    if (head.minor >= 14) entries.nothing();
    if (head.minor >= 16) entries.integer('r');
    entries.word(table->owner).word("false").word(std::to_string(table->id)).nothing();
    entries.text += position_not_set;
    entries.text.append(head.offset_size, '\0');
  }
  TocWriter count{head.int_size};
  count.integer(static_cast<std::int64_t>(head.entries.size() + added.size()));
  auto bytes = head.bytes;
  bytes.insert(head.post_data_at, entries.text);
  bytes.replace(head.count_at, count.text.size(), count.text);
  return bytes;
}

void ArchiveScanner::feed(std::string_view bytes) {
  if (state_ == State::head) {
    feed_head(bytes);
    return;
  }
  while (!bytes.empty()) step(bytes);
}

void ArchiveScanner::feed_head(std::string_view bytes) {
  head_.bytes.append(bytes);
  if (!std::string_view{head_.bytes}.substr(0, magic.size()).starts_with(magic.substr(0, head_.bytes.size()))) {
    damaged("it does not begin as one");
  }
  if (head_.bytes.size() > largest_toc) damaged("its table of contents is too large");
  // Each attempt starts anew, so they must be rare: whenever what is there has doubled.
  if (head_.bytes.size() >= next_attempt_ && !parse_head()) next_attempt_ = head_.bytes.size() * 2;
}

bool ArchiveScanner::parse_head() {
  auto bytes = std::move(head_.bytes);
  HeadReader in{bytes};
  try {
    auto head = read_head(in, int_size_);
    const auto rest = bytes.substr(in.at());
    bytes.resize(in.at());
    head_ = std::move(head);
    head_.bytes = std::move(bytes);
    for (const auto& entry : head_.entries) by_id_.emplace(entry.id, &entry);
    state_ = State::block;
    if (events_.head) events_.head(head_);
    feed(rest);
    return true;
  } catch (const NeedMore&) {
    head_.bytes = std::move(bytes);
    return false;
  }
}

bool ArchiveScanner::take_int(std::string_view& bytes, std::int64_t& into) {
  const auto size = int_size_ + 1;
  const auto decode = [&](std::string_view raw) {
    std::uint64_t value = 0;
    for (std::size_t i = 1; i < size; ++i) value |= std::uint64_t{static_cast<std::uint8_t>(raw[i])} << (8 * (i - 1));
    into = raw[0] != 0 ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
  };
  if (number_.empty() && bytes.size() >= size) {
    decode(bytes);
    bytes.remove_prefix(size);
    return true;
  }
  const auto taken = bytes.substr(0, size - number_.size());
  number_.append(taken);
  bytes.remove_prefix(taken.size());
  if (number_.size() < size) return false;
  decode(number_);
  number_.clear();
  return true;
}

void ArchiveScanner::step(std::string_view& bytes) {
  std::int64_t number = 0;
  switch (state_) {
    case State::head:
      return;
    case State::block:
      if (bytes.front() != block_data && bytes.front() != block_large_objects) damaged("an unknown kind of block");
      large_objects_ = bytes.front() == block_large_objects;
      bytes.remove_prefix(1);
      state_ = State::block_id;
      return;
    case State::block_id:
      if (take_int(bytes, number)) begin_block(number);
      return;
    case State::object:
      if (!take_int(bytes, number)) return;
      if (number == 0) {
        if (events_.end) events_.end(*entry_);
        state_ = State::block;
      } else {
        if (events_.large_object) events_.large_object(static_cast<std::uint32_t>(number));
        state_ = State::chunk;
      }
      return;
    case State::chunk:
      if (!take_int(bytes, number)) return;
      if (number < 0) damaged("a block of negative size");
      left_ = static_cast<std::uint64_t>(number);
      if (left_ == 0) {
        end_chunks();
      } else {
        state_ = State::data;
      }
      return;
    case State::data: {
      const auto taken = bytes.substr(0, left_);
      const auto& sink = large_objects_ ? events_.large_object_data : events_.data;
      if (sink) sink(taken);
      bytes.remove_prefix(taken.size());
      left_ -= taken.size();
      if (left_ == 0) state_ = State::chunk;
      return;
    }
  }
}

void ArchiveScanner::begin_block(std::int64_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || !found->second->has_data) damaged("data of nothing that it announces");
  entry_ = found->second;
  if (!seen_.insert(entry_->id).second) damaged("the same data twice");
  if (events_.begin) events_.begin(*entry_);
  state_ = large_objects_ ? State::object : State::chunk;
}

void ArchiveScanner::end_chunks() {
  if (large_objects_) {
    state_ = State::object;
    return;
  }
  if (events_.end) events_.end(*entry_);
  state_ = State::block;
}

void ArchiveScanner::finish() {
  if (state_ == State::head && !parse_head()) damaged("it ends inside its table of contents");
  if (state_ != State::block) damaged("it ends inside its data");
  for (const auto& entry : head_.entries) {
    if (entry.has_data && !seen_.contains(entry.id)) {
      damaged(fmt::format("the data of \"{}\" are missing", entry.table()));
    }
  }
}

}  // namespace codops::backup

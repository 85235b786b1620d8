// Redis out of the server and into a part. Back again: redis_fill.cpp, then redis_swap.cpp.
#include "lib/backup/redis_part.hpp"

#include "lib/backup/redis_restore.hpp"
#include "lib/io/channel.hpp"

namespace codops::backup {

Part take_redis(const io::RedisTarget& target, const Destination& destination, int level, Progress& progress, const Limits& limits) {
  progress.at("Redis");
  Part part;
  part.name = "redis.rdb";
  part.kind = "redis";
  PartWriter writer{destination.store, destination.folder, std::move(part), {level, 0, true}, destination.keys, limits};
  io::RedisConnection connection{target, limits};
  RdbSummary summary;
  const RdbCopy copy{writer, not_live(connection, limits)};
  const RdbEvents events{[](const RdbKey& key, std::string_view) {
                           if (key.key != filling_key && key.key != aside_key && key.key != undone_key) return;
                           throw Failure{Exit::failed, fmt::format("a restore began to use database {} of Redis while it was backed up", key.database), "once more, when it is done"};
                         },
                         {}};
  io::stream_between(
      [&](io::Writer& passing) {
        connection.snapshot(
            [&](std::string_view bytes) {
              if (copy.without.empty()) writer.write(bytes);
              passing.write(bytes);
              progress.advance(bytes.size());
            },
            limits);
      },
      [&](io::Reader& passing) { summary = read_rdb(passing, events, false, copy.without.empty() ? nullptr : &copy); });
  auto& about = writer.part();
  for (const auto& [database, keys] : summary.keys) about.counts[std::to_string(database)] = keys;
  for (const auto* name : {"redis-ver", "used-mem"}) {
    if (const auto found = summary.about.find(name); found != summary.about.end()) about.about[name] = found->second;
  }
  about.about["rdb-version"] = std::to_string(summary.version);
  writer.finish();
  return writer.commit();
}

void check_redis(io::Reader& reader, const Part& part) {
  const auto summary = read_rdb(reader, {}, false);
  std::map<std::string, std::uint64_t> found;
  for (const auto& [database, keys] : summary.keys) found[std::to_string(database)] = keys;
  if (found != part.counts) throw Failure{Exit::data, "other keys than the manifest says"};
}

}  // namespace codops::backup

#pragma once
// The protocol's text in and out; hiredis does both. Only for sources of lib/io.
#include <string>
#include <vector>

namespace codops::io {

struct RedisReply {
  bool error{false};
  std::string text;  // of a string, status, error or number; empty for others
};

std::string redis_command(const std::vector<std::string>& words);
RedisReply redis_reply(const void* reply);  // a redisReply

}  // namespace codops::io

#pragma once
// The short forms of a compose file as their long ones. All throw Failure{config} with the position of `written`.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/text/node.hpp"

namespace codops::compose {

struct CommandLine {
  std::vector<std::string> words;
  char ended_by{};  // a free ; & | < or >: docker compose ignores it and all that follows
};

// A command line split as docker compose does: quotes and backslashes, no expansion. nullopt: a quote is not closed.
std::optional<CommandLine> split_words(std::string_view line);

// "80", "8080:80/udp", "127.0.0.1::90", "9090-9091:8080-8081", "[::1]:81:81": one mapping per container port.
std::vector<text::Node> ports_of(const text::Node& written);
// "v:/data:ro", "./x:/y", "/anonymous"; sources stay relative.
text::Node volume_of(const text::Node& written);
// "/dev/a[:/dev/b[:rwm]]", or a CDI name.
text::Node device_of(const text::Node& written);

// Go's duration: "1h30m", "1.5s", "300ms"; also "2d" and "1w". Nanoseconds.
std::optional<std::int64_t> parse_go_duration(std::string_view text);
// As Go prints it: "1m30s", "1h0m1.5s", "0s".
std::string format_go_duration(std::int64_t nanoseconds);

// "64M", "1.5g", "12mb", "100", "-1": bytes, binary multiples.
std::optional<std::int64_t> parse_size(std::string_view text);

}  // namespace codops::compose

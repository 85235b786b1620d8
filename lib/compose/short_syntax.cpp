#include "lib/compose/short_syntax.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "lib/base/units.hpp"
#include "lib/text/scalar.hpp"

namespace codops::compose {

using text::failure_at;
using text::Node;

namespace {

// Reads one word after another. What docker compose's splitter (go-shellwords) does beyond a shell's quoting is kept:
// `…` and $(…) are one piece, taken as they stand; a free ; & | < > ends the line.
class WordReader {
 public:
  explicit WordReader(std::string_view line) : rest_{line} {}

  std::optional<CommandLine> read() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '>' && !word_.empty() && word_.back() >= '0' && word_.back() <= '9' && word_.size() == 1) inside_ = false;
      if (std::string_view{";&|<>"}.find(c) != std::string_view::npos) {
        line_.ended_by = c;
        break;
      }
      if (!piece(c)) return std::nullopt;
    }
    end_word();
    return std::move(line_);
  }

 private:
  // Takes one character, or what a quote holds. False: it is never closed, or a parenthesis stands alone.
  bool piece(char c) {
    rest_.remove_prefix(1);
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      end_word();
      return true;
    }
    inside_ = true;
    if (c == '\\') {
      if (rest_.empty()) return false;
      word_ += rest_.front();
      rest_.remove_prefix(1);
      return true;
    }
    if (c == '\'') return until('\'', false);
    if (c == '"') return until('"', true);
    if (c == '(' && !word_.ends_with('$')) return false;
    if (c == '`' || c == '(') {
      word_ += c;
      if (!until(c == '(' ? ')' : '`', false)) return false;
      word_ += c == '(' ? ')' : '`';
      return true;
    }
    word_ += c;
    return true;
  }

  bool until(char end, bool with_escapes) {
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == end) return true;
      if (c == '\\' && with_escapes) {
        if (rest_.empty()) return false;
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      word_ += c;
    }
    return false;
  }

  void end_word() {
    if (inside_) line_.words.push_back(word_);
    word_.clear();
    inside_ = false;
  }

  std::string_view rest_;
  CommandLine line_;
  std::string word_;
  bool inside_{false};
};

}  // namespace

std::optional<CommandLine> split_words(std::string_view line) { return WordReader{line}.read(); }

namespace {

struct Range {
  int first{}, last{};
  int size() const { return last - first + 1; }
};

std::optional<int> port_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number < 0 || number > 65535)
    return std::nullopt;
  return number;
}

std::optional<Range> port_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = port_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return Range{*first, *last};
}

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> buffer{};
  return inet_pton(AF_INET, text.c_str(), buffer.data()) == 1 ||
         inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), buffer.data()) == 1;
}

struct PortParts {
  std::string address, host, container, protocol{"tcp"};
};

PortParts split_port(const Node& written) {
  PortParts parts;
  std::string_view rest = written.text;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    parts.protocol = rest.substr(slash + 1);
    std::transform(parts.protocol.begin(), parts.protocol.end(), parts.protocol.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    rest = rest.substr(0, slash);
  }
  if (parts.protocol != "tcp" && parts.protocol != "udp" && parts.protocol != "sctp")
    throw failure_at(written.at, fmt::format("the port \"{}\" has no known protocol", written.text),
                     "tcp, udp or sctp follows the slash");
  const auto container = rest.rfind(':');
  parts.container = rest.substr(container == std::string_view::npos ? 0 : container + 1);
  if (container == std::string_view::npos) return parts;
  rest = rest.substr(0, container);
  const auto host = rest.rfind(':');
  if (host == std::string_view::npos || (rest.ends_with(']') && rest.starts_with('['))) {
    parts.host = rest;
    return parts;
  }
  parts.host = rest.substr(host + 1);
  parts.address = rest.substr(0, host);
  if (parts.address.starts_with('[') && parts.address.ends_with(']')) {
    parts.address = parts.address.substr(1, parts.address.size() - 2);
  } else if (parts.address.find(':') != std::string::npos) {
    throw failure_at(written.at, fmt::format("the address in the port \"{}\" is not valid", written.text),
                     "write an IPv6 address in brackets: [::1]:80:80");
  }
  if (!parts.address.empty() && !is_address(parts.address))
    throw failure_at(written.at,
                     fmt::format("\"{}\" in the port \"{}\" is not an IP address", parts.address, written.text));
  return parts;
}


}  // namespace

std::vector<Node> ports_of(const Node& written) {
  const auto parts = split_port(written);
  const auto container = port_range(parts.container);
  if (!container)
    throw failure_at(written.at, fmt::format("the container's port in \"{}\" is not valid", written.text));
  std::optional<Range> host;
  if (!parts.host.empty() && !(host = port_range(parts.host)))
    throw failure_at(written.at, fmt::format("the published port in \"{}\" is not valid", written.text));
  if (host && host->size() != container->size() && container->size() != 1)
    throw failure_at(written.at, fmt::format("the port ranges in \"{}\" have different lengths", written.text));
  std::vector<Node> ports;
  for (int offset = 0; offset < container->size(); ++offset) {
    auto port = Node::make_mapping(written.at);
    port.set("mode", Node::make_string("ingress", written.at));
    if (!parts.address.empty()) port.set("host_ip", Node::make_string(parts.address, written.at));
    port.set("target", Node::make_integer(container->first + offset, written.at));
    if (host) {
      auto published = std::to_string(host->first + offset);
      // Many host ports for one container port: the engine picks a free one of them.
      if (host->size() != container->size()) published = fmt::format("{}-{}", host->first, host->last);
      port.set("published", Node::make_string(std::move(published), written.at));
    }
    port.set("protocol", Node::make_string(parts.protocol, written.at));
    ports.push_back(std::move(port));
  }
  return ports;
}

namespace {

bool is_path(std::string_view source) {
  if (source.empty()) return false;
  if (source.front() == '.' || source.front() == '/' || source.front() == '~') return true;
  return source.starts_with("\\\\") || (source.size() > 1 && std::isalpha(static_cast<unsigned char>(source[0])) && source[1] == ':');
}

void apply_option(Node& volume, std::string_view option) {
  static constexpr std::array<std::string_view, 6> propagations{"rprivate", "private", "rshared",
                                                                "shared",   "rslave",  "slave"};
  const auto sub = [&](const char* name) -> Node& {
    if (!volume.find(name)) volume.set(name, Node::make_mapping(volume.at));
    return *volume.find(name);
  };
  if (option == "ro" || option == "rw") {
    volume.set("read_only", Node::make_boolean(option == "ro", volume.at));
  } else if (option == "nocopy") {
    sub("volume").set("nocopy", Node::make_boolean(true, volume.at));
  } else if (option == "z" || option == "Z") {
    sub("bind").set("selinux", Node::make_string(std::string{option}, volume.at));
  } else if (std::find(propagations.begin(), propagations.end(), option) != propagations.end()) {
    sub("bind").set("propagation", Node::make_string(std::string{option}, volume.at));
  }  // others are ignored, as docker compose does ("cached", "delegated")
}

// At colons, but for the one of a Windows drive.
std::vector<std::string> volume_sections(std::string_view spec) {
  std::vector<std::string> sections{""};
  for (const char c : spec) {
    auto& section = sections.back();
    const bool drive = section.size() == 1 && std::isalpha(static_cast<unsigned char>(section[0]));
    if (c == ':' && !drive) {
      sections.emplace_back();
    } else {
      section += c;
    }
  }
  return sections;
}

}  // namespace

Node volume_of(const Node& written) {
  const auto& at = written.at;
  if (written.text.empty()) throw failure_at(at, "a volume is empty");
  auto volume = Node::make_mapping(at);
  const auto sections =
      written.text.size() <= 2 ? std::vector<std::string>{written.text} : volume_sections(written.text);
  if (sections.size() > 3) throw failure_at(at, fmt::format("the volume \"{}\" has too many colons", written.text));
  if (std::any_of(sections.begin(), sections.end(), [](const auto& section) { return section.empty(); }))
    throw failure_at(at, fmt::format("the volume \"{}\" has nothing between two colons", written.text));
  const bool anonymous = sections.size() == 1;
  const auto source = anonymous ? std::string{} : sections[0];
  const bool bind = is_path(source);
  volume.set("type", Node::make_string(bind ? "bind" : "volume", at));
  if (!anonymous) volume.set("source", Node::make_string(source, at));
  volume.set("target", Node::make_string(anonymous ? sections[0] : sections[1], at));
  if (sections.size() == 3) {
    std::string_view options = sections[2];
    while (!options.empty()) {
      const auto comma = std::min(options.find(','), options.size());
      apply_option(volume, options.substr(0, comma));
      options.remove_prefix(std::min(comma + 1, options.size()));
    }
  }
  if (bind) {
    if (!volume.find("bind")) volume.set("bind", Node::make_mapping(at));
    volume.find("bind")->set("create_host_path", Node::make_boolean(true, at));
  } else if (written.text.size() > 2 && !volume.find("volume")) {
    volume.set("volume", Node::make_mapping(at));
  }
  return volume;
}

Node device_of(const Node& written) {
  std::vector<std::string> parts{""};
  for (const char c : written.text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() > 3 || parts[0].empty())
    throw failure_at(written.at, fmt::format("the device \"{}\" is not valid", written.text),
                     "write HOST[:CONTAINER[:rwm]]");
  auto device = Node::make_mapping(written.at);
  std::string target = parts.size() > 1 ? parts[1] : parts[0];
  std::string permissions = parts.size() > 2 ? parts[2] : "rwm";
  device.set("source", Node::make_string(parts[0], written.at));
  device.set("target", Node::make_string(std::move(target), written.at));
  device.set("permissions", Node::make_string(std::move(permissions), written.at));
  return device;
}

std::optional<std::int64_t> parse_go_duration(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  long double total = 0;
  while (!text.empty()) {
    std::size_t length = 0;
    while (length < text.size() && ((text[length] >= '0' && text[length] <= '9') || text[length] == '.')) ++length;
    const std::string number{text.substr(0, length)};
    if (number.empty() || number == "." || std::count(number.begin(), number.end(), '.') > 1) return std::nullopt;
    text.remove_prefix(length);
    length = 0;
    while (length < text.size() && text[length] != '.' && (text[length] < '0' || text[length] > '9')) ++length;
    const auto unit = text.substr(0, length);
    text.remove_prefix(length);
    static constexpr auto units = std::to_array<std::pair<std::string_view, long double>>(
        {{"ns", 1.0L}, {"us", 1e3L}, {"µs", 1e3L}, {"μs", 1e3L}, {"ms", 1e6L}, {"s", 1e9L}, {"m", 60e9L},
         {"h", 3600e9L}, {"d", 86400e9L}, {"w", 604800e9L}});
    const auto* found = std::find_if(units.begin(), units.end(), [&](const auto& known) { return known.first == unit; });
    if (found == units.end()) return std::nullopt;
    total += std::strtold(number.c_str(), nullptr) * found->second;
  }
  if (total > 9.2e18L) return std::nullopt;
  const auto rounded = static_cast<std::int64_t>(std::llroundl(total));
  return negative ? -rounded : rounded;
}

std::string format_go_duration(std::int64_t nanoseconds) {
  if (nanoseconds == 0) return "0s";
  if (nanoseconds < 0) return "-" + format_go_duration(-nanoseconds);
  const auto with_fraction = [](std::int64_t whole, std::int64_t part, int digits) {
    auto shown = fmt::format("{}.{:0{}}", whole, part, digits);
    shown.erase(shown.find_last_not_of('0') + 1);
    if (shown.ends_with('.')) shown.pop_back();
    return shown;
  };
  if (nanoseconds < 1000) return fmt::format("{}ns", nanoseconds);
  if (nanoseconds < 1'000'000) return with_fraction(nanoseconds / 1000, nanoseconds % 1000, 3) + "µs";
  if (nanoseconds < 1'000'000'000) return with_fraction(nanoseconds / 1'000'000, nanoseconds % 1'000'000, 6) + "ms";
  const auto seconds = nanoseconds / 1'000'000'000;
  const auto tail = with_fraction(seconds % 60, nanoseconds % 1'000'000'000, 9) + "s";
  if (seconds < 60) return tail;
  if (seconds < 3600) return fmt::format("{}m{}", seconds / 60, tail);
  return fmt::format("{}h{}m{}", seconds / 3600, seconds / 60 % 60, tail);
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  if (text.starts_with('-')) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
  }
  const auto size = parse_bytes(text);
  if (!size || *size > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return static_cast<std::int64_t>(*size);
}

}  // namespace codops::compose

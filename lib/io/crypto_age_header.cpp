#include "lib/io/crypto_age_header.hpp"

#include "lib/io/crypto.hpp"
#include "lib/io/crypto_primitives.hpp"

namespace codops::io::age {
namespace {

constexpr std::size_t largest_header = 1U << 20U;
constexpr std::size_t body_columns = 64;

[[noreturn]] void malformed_header(std::string_view why) {
  throw AgeFailure{AgeFailure::Kind::header, fmt::format("the age header is malformed: {}", why)};
}

// Line by line through a one-byte window: what follows the header belongs to the payload.
class Lines {
 public:
  explicit Lines(Reader& source) : source_{source} {}

  std::string next() {
    std::string line;
    for (char c = 0;;) {
      if (source_.read(&c, 1) == 0) malformed_header("it ends too early");
      if (++total_ > largest_header) malformed_header("it is too large");
      if (c == '\n') return line;
      line += c;
    }
  }

 private:
  Reader& source_;
  std::size_t total_{};
};

bool is_printable(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c >= 33 && c <= 126; });
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (;;) {
    const auto space = text.find(' ');
    const auto word = text.substr(0, space);
    if (!is_printable(word)) malformed_header("an empty or unprintable argument");
    words.emplace_back(word);
    if (space == std::string_view::npos) return words;
    text.remove_prefix(space + 1);
  }
}

std::string decoded(std::string_view text, std::string_view what) {
  auto bytes = from_base64(text, false);
  if (!bytes) malformed_header(fmt::format("{} is not canonical base64", what));
  return std::move(*bytes);
}

}  // namespace

Header read_header(Reader& source) {
  Lines lines{source};
  Header header;
  auto line = lines.next();
  if (line + '\n' != version_line) malformed_header("unknown version");
  header.covered = version_line;
  for (;;) {
    line = lines.next();
    if (line.starts_with("---")) break;
    if (!line.starts_with("-> ")) malformed_header("a stanza does not begin with an arrow");
    header.covered += line + '\n';
    Stanza stanza{split_words(std::string_view{line}.substr(3)), {}};
    // A body ends with the first line that is shorter than full, which may be empty.
    do {
      line = lines.next();
      if (line.size() > body_columns) malformed_header("a line of a stanza is too long");
      header.covered += line + '\n';
      stanza.body += decoded(line, "a stanza");
    } while (line.size() == body_columns);
    header.stanzas.push_back(std::move(stanza));
  }
  if (!line.starts_with("--- ")) malformed_header("no MAC");
  if (header.stanzas.empty()) malformed_header("no recipients");
  header.mac = decoded(std::string_view{line}.substr(4), "the MAC");
  if (header.mac.size() != 32) malformed_header("the MAC has a wrong length");
  header.covered += "---";
  return header;
}

std::string to_text(const Stanza& stanza) {
  std::string text = "->";
  for (const auto& argument : stanza.arguments) text += ' ' + argument;
  text += '\n';
  const auto body = to_base64(stanza.body, false);
  for (std::size_t at = 0; at <= body.size(); at += body_columns) text += body.substr(at, body_columns) + '\n';
  return text;
}

std::string sealed_header(const std::vector<Stanza>& stanzas, std::string_view file_key) {
  std::string text{version_line};
  for (const auto& stanza : stanzas) text += to_text(stanza);
  text += "---";
  const auto mac = hmac_sha256(hkdf_sha256(file_key, "", "header"), text);
  return text + ' ' + to_base64(mac, false) + '\n';
}

std::string ChunkNonce::of(bool last) const {
  std::string nonce(12, '\0');
  for (std::size_t i = 0; i < 8; ++i) nonce[10 - i] = static_cast<char>((counter_ >> (8 * i)) & 0xffU);
  nonce[11] = last ? '\x01' : '\x00';
  return nonce;
}

std::string payload_key(std::string_view file_key, std::string_view nonce) {
  return hkdf_sha256(file_key, nonce, "payload");
}

}  // namespace codops::io::age

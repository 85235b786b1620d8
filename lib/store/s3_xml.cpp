#include "lib/store/s3_xml.hpp"

#include <charconv>
#include <cstdlib>
#include <map>

namespace codops::store {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { text += static_cast<char>(static_cast<unsigned char>(value)); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xC0U | code >> 6U);
  } else {
    if (code < 0x10000) {
      byte(0xE0U | code >> 12U);
    } else {
      byte(0xF0U | code >> 18U);
      byte(0x80U | (code >> 12U & 0x3FU));
    }
    byte(0x80U | (code >> 6U & 0x3FU));
  }
  byte(0x80U | (code & 0x3FU));
}

// "#39" or "#x27"; nullopt: no character.
std::optional<std::uint32_t> numbered(std::string_view name) {
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x') || name.starts_with('X');
  if (hex) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
  if (failed != std::errc{} || end != name.data() + name.size() || code == 0 || code > 0x10FFFF) return std::nullopt;
  return code;
}

std::string unescaped(std::string_view text) {
  static const std::map<std::string_view, std::uint32_t> named{{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto end = text[at] == '&' ? text.find(';', at) : std::string_view::npos;
    std::optional<std::uint32_t> code;
    if (end != std::string_view::npos) {
      const auto name = text.substr(at + 1, end - at - 1);
      const auto found = named.find(name);
      code = found == named.end() ? numbered(name) : found->second;
    }
    if (!code) {
      plain += text[at];
    } else {
      append_utf8(plain, *code);
      at = end;
    }
  }
  return plain;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

std::vector<std::string_view> xml_elements(std::string_view xml, std::string_view name) {
  const auto open = "<" + std::string{name} + ">", close = "</" + std::string{name} + ">";
  std::vector<std::string_view> all;
  for (std::size_t at = xml.find(open); at != std::string_view::npos; at = xml.find(open, at)) {
    at += open.size();
    const auto end = xml.find(close, at);
    if (end == std::string_view::npos) break;
    all.push_back(xml.substr(at, end - at));
    at = end;
  }
  return all;
}

std::vector<std::string> xml_texts(std::string_view xml, std::string_view name) {
  std::vector<std::string> texts;
  for (const auto element : xml_elements(xml, name)) texts.push_back(unescaped(element));
  return texts;
}

std::string xml_text(std::string_view xml, std::string_view name) {
  auto texts = xml_texts(xml, name);
  return texts.empty() ? std::string{} : std::move(texts.front());
}

bool is_whole_xml(std::string_view body, std::string_view root) {
  body = trimmed(body);
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  if (body.starts_with("<?xml")) body = trimmed(body.substr(std::min(body.find("?>"), body.size() - 2) + 2));
  const auto open = "<" + std::string{root};
  if (!body.starts_with(open) || body.size() == open.size()) return false;
  const char next = body[open.size()];
  return (next == '>' || next == ' ' || next == '\n') && body.ends_with("</" + std::string{root} + ">");
}

std::optional<ListPage> parse_list_page(std::string_view body) {
  if (!is_whole_xml(body, "ListBucketResult")) return std::nullopt;
  ListPage page;
  for (const auto element : xml_elements(body, "Contents")) {
    page.items.push_back({xml_text(element, "Key"), std::strtoull(xml_text(element, "Size").c_str(), nullptr, 10)});
  }
  page.truncated = xml_text(body, "IsTruncated") == "true";
  page.token = xml_text(body, "NextContinuationToken");
  return page;
}

}  // namespace codops::store

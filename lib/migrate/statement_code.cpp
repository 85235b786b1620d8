#include "lib/migrate/statement_code.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;

// Words that stand before a parenthesis, types, and functions that only compute or change a sequence or setting.
constexpr std::string_view harmless[] = {
    "exists", "in", "any", "all", "some", "values", "and", "or", "not", "when", "then", "else", "case", "if", "elsif", "while", "using", "over", "on",
    "from", "as", "filter", "by", "where", "having", "select", "join", "lateral", "with", "materialized", "union", "except", "intersect", "limit",
    "offset", "between", "like", "ilike", "is", "distinct", "group", "within", "returning", "return", "is_true", "cast", "row", "array", "extract",
    "varchar", "varying", "numeric", "decimal", "char", "character", "bit", "timestamp", "timestamptz", "time", "interval", "conflict", "set", "set_config",
    "current_setting", "setval", "nextval", "currval", "lastval", "count", "sum", "min", "max", "avg", "coalesce", "nullif", "greatest", "least",
    "now", "clock_timestamp", "format", "concat", "length", "lower", "upper", "unnest", "generate_series", "random", "gen_random_uuid", "md5",
    "substring", "replace", "trim", "version", "row_number", "rank", "dense_rank", "ntile", "lag", "lead", "first_value", "last_value",
    "nth_value", "abs", "round", "floor", "ceil", "ceiling", "trunc", "mod", "sign", "power", "sqrt", "left", "right", "split_part", "strpos", "position",
    "overlay", "ltrim", "rtrim", "btrim", "lpad", "rpad", "initcap", "translate", "reverse", "repeat", "chr", "ascii", "encode", "decode", "age",
    "concat_ws", "cardinality", "bool_or", "bool_and", "every", "uuid_generate_v4", "digest", "hashtext", "sha256", "convert_to", "convert_from", "mode",
    "percentile_cont", "percentile_disc", "nulls", "pg_typeof", "to_char", "to_date", "to_number", "to_timestamp", "to_json", "to_jsonb", "to_regclass",
    "to_regtype", "to_regproc", "to_tsvector", "to_tsquery", "array_agg", "array_append", "array_prepend", "array_cat", "array_remove", "array_length",
    "array_position", "array_to_string", "array_upper", "array_lower", "string_agg", "string_to_array", "quote_ident", "quote_literal", "quote_nullable",
    "date_trunc", "date_part", "date_bin", "current_database", "current_schema", "current_schemas", "current_user", "current_timestamp", "current_time",
    "has_table_privilege", "has_schema_privilege", "has_column_privilege", "make_interval", "make_date", "make_timestamp", "make_timestamptz", "bit_and",
    "bit_or", "bit_length", "timezone", "daterange", "tsrange", "tstzrange"};
constexpr std::string_view harmless_families[] = {"pg_get_", "json_", "jsonb_", "regexp_"};

bool is_harmless(const Name& name) {
  if (!name.schema.empty() && name.schema != "pg_catalog") return false;
  return std::find(std::begin(harmless), std::end(harmless), name.name) != std::end(harmless) ||
         std::any_of(std::begin(harmless_families), std::end(harmless_families), [&](std::string_view family) { return name.name.starts_with(family); });
}

constexpr std::string_view control[] = {"null", "return", "raise", "exit", "continue", "close", "fetch", "move", "get", "assert", "open", "end"};

// One block: its statements in the order of the text.
class Block {
 public:
  Block(std::string_view body, std::size_t offset, Parsed& into) : body_{body}, offset_{offset}, into_{into} {}

  void read() {
    Lexer lexer{body_};
    std::size_t begin = 0;
    int depth = 0;
    while (const auto token = lexer.next()) {
      if (token->kind == Token::Kind::open) ++depth;
      if (token->kind == Token::Kind::close) --depth;
      if (token->kind != Token::Kind::semicolon || depth > 0) continue;
      piece(begin, token->begin);
      begin = token->end;
    }
    piece(begin, body_.size());
  }

 private:
  void cannot_see(const std::string& what) {
    if (into_.unseen.empty()) into_.unseen = what + " in a DO block";
  }

  void calls(const Words& words) {
    for (auto& name : free_calls(words)) into_.calls.push_back(std::move(name));
  }

  // IF … THEN, LOOP, EXCEPTION WHEN … THEN and their like before a statement.
  void skip_control(Words& words) {
    for (;;) {
      if (words.is_text("<")) {
        while (!words.done() && !words.is_text(">")) words.skip();
        words.skip();
        words.skip();
      } else if (words.accept("begin") || words.accept("else") || words.accept("loop") || words.accept("exception")) {
        declaring_ = false;
      } else if (words.is("declare")) {
        declaring_ = true;
        return;
      } else if (words.is("if") || words.is("elsif") || words.is("elseif") || words.is("when")) {
        if (!words.skip_to("then")) return;
      } else if (words.is("case")) {
        if (!words.skip_to("when")) return;
        if (!words.skip_to("then")) return;
      } else if (words.is("while") || words.is("for") || words.is("foreach")) {
        for (const auto word : {"execute", "insert", "update", "delete", "merge"}) {
          if (words.contains(word, words.at())) cannot_see("a loop over " + std::string{word});
        }
        if (!words.skip_to("loop")) return;
      } else {
        return;
      }
    }
  }

  void piece(std::size_t from, std::size_t to) {
    const auto text = body_.substr(from, to - from);
    Words words{text};
    const auto first = words.at();
    skip_control(words);
    if (words.done()) return calls(Words{text});
    if (declaring_) return calls(words);
    if (words.at() != first) conditions(Words{text}, words.at());
    statement(words, from + words.tokens()[words.at()].begin, text.substr(words.tokens()[words.at()].begin));
  }

  void conditions(Words words, std::size_t end) {
    const auto& tokens = words.tokens();
    if (end > 0 && end <= tokens.size()) calls(Words{words.sql().substr(0, tokens[end - 1].end)});
  }

  void statement(Words& words, std::size_t at, std::string_view text) {
    if (std::any_of(std::begin(control), std::end(control), [&](std::string_view word) { return words.is(word); })) {
      if (words.contains("execute", words.at())) cannot_see("EXECUTE");
      return calls(words);
    }
    if (words.accept("execute")) return dynamic(words, at);
    if (words.accept("perform")) return calls(words);
    if (words.is("commit") || words.is("rollback")) return cannot_see("a transaction's end");
    auto parsed = parse(text);
    for (auto& name : parsed.calls) into_.calls.push_back(std::move(name));
    parsed.calls.clear();
    if (parsed.kind == Kind::other) {
      if (is_assignment(words)) return calls(words);
      return cannot_see("a statement that codops doesn't know");
    }
    if (parsed.kind == Kind::select && parsed.parts.empty()) return;
    add(std::move(parsed), at);
  }

  // x := f(), x.y = f(), x[1] := …; a THEN would mean that the condition before it was read wrongly.
  static bool is_assignment(Words words) {
    if (words.contains("then", words.at()) || words.contains("loop", words.at())) return false;
    words.name();
    if (words.is_text("[")) words.skip_parentheses();
    return words.is_text("=") || (words.is_text(":") && words.is_text("=", 1));
  }

  // EXECUTE 'text' is as good as the statement itself; anything put together is not.
  void dynamic(Words& words, std::size_t at) {
    const bool literal = (words.is_kind(Token::Kind::string) || words.is_kind(Token::Kind::dollar_string)) && words.at() + 1 == words.tokens().size();
    if (!literal) return cannot_see("EXECUTE");
    const auto text = words.is_kind(Token::Kind::string) ? words.string_value() : std::string{within(words.text())};
    auto parsed = parse(text);
    if (parsed.kind == Kind::other || parsed.kind == Kind::do_block || Words{text}.contains_semicolon()) return cannot_see("EXECUTE");
    for (auto& name : parsed.calls) into_.calls.push_back(std::move(name));
    add(std::move(parsed), at);
  }

  void add(Parsed parsed, std::size_t at) {
    parsed.offset = offset_ + at;
    into_.parts.push_back(std::move(parsed));
  }

  static std::string_view within(std::string_view dollars) {
    const auto tag = dollars.find('$', 1) + 1;
    return dollars.size() < 2 * tag ? std::string_view{} : dollars.substr(tag, dollars.size() - 2 * tag);
  }

  std::string_view body_;
  std::size_t offset_;
  Parsed& into_;
  bool declaring_{false};
};

}  // namespace

std::vector<Name> free_calls(Words words) {
  std::vector<Name> calls;
  bool into = false;
  while (!words.done()) {
    if (!words.at_name()) {
      words.skip();
      continue;
    }
    const bool columns = into;
    into = words.is("into");
    auto name = words.name();
    if (!words.is_text("(") || columns || is_harmless(name)) continue;
    // WITH name (columns) AS (…
    const auto begin = words.at();
    words.skip_parentheses();
    const bool named = words.is("as") && (words.is_kind(Token::Kind::open, 1) || words.is("materialized", 1) || words.is("not", 1));
    words.move_to(begin);
    if (!named) calls.push_back(std::move(name));
  }
  return calls;
}

void read_do_block(Words& words, Parsed& parsed) {
  parsed.kind = Kind::do_block;
  std::string language = "plpgsql";
  std::optional<Token> code;
  for (; !words.done(); words.skip()) {
    if (words.accept("language")) {
      language = lower_case(words.text());
      if (words.is_kind(Token::Kind::string)) language = lower_case(words.string_value());
    } else if (words.is_kind(Token::Kind::string) || words.is_kind(Token::Kind::dollar_string)) {
      code = words.tokens()[words.at()];
    }
  }
  if (language.size() > 1 && language.front() == '"') language = language.substr(1, language.size() - 2);
  if (!code || language != "plpgsql") {
    parsed.unseen = "a DO block in " + language;
    return;
  }
  const auto quoted = code->of(words.sql());
  if (code->kind == Token::Kind::dollar_string) {
    const auto tag = quoted.find('$', 1) + 1;
    if (!code->complete || quoted.size() < 2 * tag) return;
    return Block{quoted.substr(tag, quoted.size() - 2 * tag), code->begin + tag, parsed}.read();
  }
  if (quoted.front() != '\'') {
    parsed.unseen = "a DO block in escaped text";
    return;
  }
  Words at_code{quoted};
  const auto text = at_code.string_value();
  Block{text, code->begin, parsed}.read();
  // Positions inside of it would be off by the quotes that are doubled.
  for (auto& part : parsed.parts) part.offset = code->begin;
}

}  // namespace codops::migrate

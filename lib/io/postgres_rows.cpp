#include <libpq-fe.h>

#include <pqxx/array>
#include <pqxx/except>
#include <pqxx/strconv>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::io::postgres {

namespace {

template <typename T>
T converted(std::string_view text) {
  T value{};
  try {
    pqxx::from_string(std::string{text}, value);
  } catch (const std::exception&) {
    throw Failure{Exit::bug, "the server's answer \"" + std::string{text} + "\" is not of the expected type"};
  }
  return value;
}

}  // namespace

std::size_t Rows::size() const { return result_ ? static_cast<std::size_t>(PQntuples(result_.get())) : 0; }
std::size_t Rows::columns() const { return result_ ? static_cast<std::size_t>(PQnfields(result_.get())) : 0; }

std::string_view Rows::column_name(std::size_t column) const {
  const char* name = result_ ? PQfname(result_.get(), static_cast<int>(column)) : nullptr;
  return name == nullptr ? std::string_view{} : name;
}

bool Rows::is_null(std::size_t row, std::size_t column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
}

std::string_view Rows::text(std::size_t row, std::size_t column) const {
  if (row >= size() || column >= columns())
    throw Failure{Exit::bug, "the server's answer has fewer rows or columns than expected"};
  return {PQgetvalue(result_.get(), static_cast<int>(row), static_cast<int>(column)),
          static_cast<std::size_t>(PQgetlength(result_.get(), static_cast<int>(row), static_cast<int>(column)))};
}

std::optional<std::string> Rows::optional(std::size_t row, std::size_t column) const {
  const auto value = text(row, column);
  if (is_null(row, column)) return std::nullopt;
  return std::string{value};
}

std::int64_t Rows::number(std::size_t row, std::size_t column) const { return converted<long long>(text(row, column)); }
double Rows::real(std::size_t row, std::size_t column) const { return converted<double>(text(row, column)); }
bool Rows::boolean(std::size_t row, std::size_t column) const { return converted<bool>(text(row, column)); }

std::vector<std::string> Rows::array(std::size_t row, std::size_t column) const {
  const std::string value{text(row, column)};
  std::vector<std::string> result;
  pqxx::array_parser parser{value.c_str()};
  for (;;) {
    const auto [kind, element] = parser.get_next();
    using Juncture = pqxx::array_parser::juncture;
    if (kind == Juncture::done) return result;
    if (kind == Juncture::string_value || kind == Juncture::null_value) result.push_back(element);
  }
}

std::string_view Rows::command() const { return result_ ? PQcmdStatus(result_.get()) : ""; }

std::uint64_t Rows::affected() const {
  const std::string_view count{result_ ? PQcmdTuples(result_.get()) : ""};
  return count.empty() ? 0 : static_cast<std::uint64_t>(converted<long long>(count));
}

}  // namespace codops::io::postgres

// Linked at configure time with libpqxx.a and the forwards: what codops uses of it calls nothing else of libpq.
#include <pqxx/array>
#include <pqxx/strconv>

int main(int, char** arguments) {
  long long number{};
  double real{};
  bool truth{};
  pqxx::from_string(std::string{arguments[0]}, number);
  pqxx::from_string(std::string{arguments[0]}, real);
  pqxx::from_string(std::string{arguments[0]}, truth);
  pqxx::array_parser parser{arguments[0]};
  return static_cast<int>(parser.get_next().second.size());
}

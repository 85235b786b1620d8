// For a compiler without libFuzzer: mutates the seeds for the seconds given, `splitter_driver SECONDS [SEED]`.
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "tests/fuzz/splitter_check.hpp"

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds{argc > 1 ? std::atoi(argv[1]) : 60};
  std::mt19937 random{argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : std::random_device{}()};
  const auto& seeds = codops::tests::splitter_seeds();
  std::string text;
  std::size_t rounds = 0;
  try {
    for (; Clock::now() < end; ++rounds) {
      if (rounds % 16 == 0 || text.size() > 4000) text = seeds[random() % seeds.size()] + seeds[random() % seeds.size()];
      text = codops::tests::mutated(text, random);
      codops::tests::check_splitter(text);
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << ":\n" << text << "\n";
    return 1;
  }
  std::cout << rounds << " texts, none failed\n";
}

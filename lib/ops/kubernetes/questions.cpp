#include "lib/ops/kubernetes/questions.hpp"

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/kube/pod_essence.hpp"

namespace codops::ops::kubernetes {

void Questions::list(const std::string& api_version, const std::string& kind, const std::string& namespace_, k8s::Selection selection, Take take) {
  list_if_allowed(api_version, kind, namespace_, std::move(selection), std::move(take), {});
}

void Questions::list_if_allowed(const std::string& api_version, const std::string& kind, const std::string& namespace_, k8s::Selection selection, Take take,
                                std::function<void()> forbidden) {
  auto* answer = answers_.emplace_back(std::make_unique<Answer>()).get();
  answer->take = std::move(take);
  answer->refused = std::move(forbidden);
  ask([this, answer, api_version, kind, namespace_, selection = std::move(selection)] {
    // A crowd of pods is held by what is judged of them.
    const bool pods = kind == "Pod" && api_version == "v1";
    try {
      cluster_.api().list(api_version, kind, namespace_, selection, [&](nlohmann::json&& json) {
        kube::Object object{std::move(json)};
        answer->objects.push_back(pods ? kube::essence_of(object) : std::move(object));
      }, limits_);
    } catch (const k8s::ApiError& error) {
      if (error.status() != 403 || !answer->refused) throw;
      answer->forbidden = true;
    }
  });
}

void Questions::answer() {
  const auto asked = std::move(questions_);
  const auto answers = std::move(answers_);
  questions_.clear();
  answers_.clear();
  in_parallel(asked.size(), k8s::most_connections, [&](std::size_t index) { asked[index](); });
  for (const auto& answer : answers) {
    if (answer->forbidden) answer->refused();
    else answer->take(std::move(answer->objects));
  }
}

Questions::Take into(std::vector<kube::Object>& all) {
  return [&all](std::vector<kube::Object>&& objects) { all.insert(all.end(), std::make_move_iterator(objects.begin()), std::make_move_iterator(objects.end())); };
}

}  // namespace codops::ops::kubernetes

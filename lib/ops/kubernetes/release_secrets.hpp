#pragma once
// Which values of a release in a cluster must not be shown.
#include <string_view>

#include "lib/base/known_secrets.hpp"
#include "lib/base/reporter.hpp"
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

// Of the environment's files, of Secrets among the objects, and of containers' variables that are called like one.
KnownSecrets secrets_of(Cluster& cluster, const ObjectsByKey& objects);
// Of the release that a run is about, its migrations' too.
KnownSecrets secrets_of(const RunContext& context);
// What is quoted of the cluster (probes' output, events, refusals) without the secrets of the run's releases, those included that its pods take
// from Secrets of no manifest, as far as they may be read.
std::string hidden(RunContext& context, std::string_view text);
// The same outside of a run.
KnownSecrets secrets_with_live(Cluster& cluster, const ObjectsByKey& objects, const Limits& limits);

// Tells another one everything, with secrets hidden.
class HidingReporter final : public Reporter {
 public:
  HidingReporter(Reporter& to, RunContext& context) : to_{to}, context_{context} {}
  void report(const Event& event) override;

 private:
  Reporter& to_;
  RunContext& context_;
};

}  // namespace codops::ops::kubernetes

#pragma once
// The plan's lines: a live object against what the API server would make of it (the answer of dryRun=All).
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

enum class Sign : char { added = '+', changed = '~', removed = '-', same = '=' };

struct FieldChange {
  Sign sign{Sign::changed};
  std::string path;           // "spec.template.spec.containers[web].image": list items by their key, else by index
  std::string before, after;  // compact JSON, texts without quotes; "" where there is none; secrets: "***"
  bool secret{};

  // "spec.replicas: 2 → 3", "+ data.FEATURE_X: on", "data.PASSWORD changed"; no longer than `width`.
  std::string text(std::size_t width = 100) const;
};

struct ObjectDiff {
  Ref ref;
  Sign sign{Sign::same};
  std::vector<FieldChange> changes;  // of an added or removed object: empty
  bool new_pods{};                   // the pod template changes: pods are replaced
};

// A null `live`: added; a null `desired`: removed. managedFields, status, resourceVersion, uid, generation, creationTimestamp,
// selfLink and last-applied-configuration are left out. Values of Secrets (data, stringData) are never shown; nor are env values
// whose name says that they are secret.
ObjectDiff diff(const Object& live, const Object& desired);

// True when nothing but what the server fills in differs: for "every object equal to before".
bool same_object(const Object& a, const Object& b);
// The object without what the server fills in (status too): what a release stores, and what re-applying compares with.
Object without_noise(const Object& object);

}  // namespace codops::kube

#pragma once
// The schema as documents: config/codops.example.yaml and config/codops.schema.json are exactly these (a test compares).
#include <string>

namespace codops::settings {

// A valid codops.yaml with every key, its meaning, what is built in and its variable.
std::string reference_yaml();
// JSON Schema 2020-12, for editors; ends with a newline.
std::string schema_json();

}  // namespace codops::settings

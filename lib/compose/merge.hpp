#pragma once
// How a later file, a service that extends another, or an included file is laid over what is there. Both trees are
// canonical.
#include <string>

#include "lib/compose/keys.hpp"
#include "lib/text/node.hpp"

namespace codops::compose {

// Mappings merge, lists append and keep the last of what has one key (a port's address, a volume's target …); command,
// entrypoint and healthcheck.test replace; logging merges only with the same driver. `!reset` removes, `!override`
// replaces.
void merge(text::Node& into, text::Node from, const Key& key);

// Drops what `!reset` marks in a tree that nothing is merged into.
void drop_resets(text::Node& node);

// Of the lists' entries with one key only the last stays, in the first one's place.
void keep_unique(text::Node& node, const Key& key);

}  // namespace codops::compose

#!/usr/bin/env bash
# ../undo.sh for the other commands.
UNDO_VERBS="rollback scale" exec "$(dirname "$0")/../undo.sh"

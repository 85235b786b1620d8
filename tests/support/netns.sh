#!/usr/bin/env bash
# Runs a command in a network namespace of its own, so that ports, bridges and firewall rules
# never meet the machine's.
#
#   netns.sh NAME CMD...      makes NAME when it is missing, then becomes CMD inside it
#   netns.sh --delete NAME    removes it (processes still inside keep it alive until they end)
#
# `ip netns exec` would remount /sys, which hides the cgroups that dockerd needs: nsenter does not.
set -euo pipefail

if [[ ${1:-} == --delete && $# -eq 2 ]]; then
  [[ ! -e /run/netns/$2 ]] || ip netns delete "$2"
  exit 0
fi
[[ $# -ge 2 && $1 != -* ]] || { echo "usage: netns.sh NAME CMD... | --delete NAME" >&2; exit 64; }
name=$1
shift
# A second caller may win the race to create it: what counts is that it exists afterwards.
[[ -e /run/netns/$name ]] || ip netns add "$name" || [[ -e /run/netns/$name ]]
ip -n "$name" link set lo up
exec nsenter --net="/run/netns/$name" -- "$@"

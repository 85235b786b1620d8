#!/bin/sh
# As the official image: flags alone go to redis-server, root becomes redis, other containers may connect.
set -e
case "${1#-}" in "$1") ;; *) set -- redis-server "$@" ;; esac
case "$1" in *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
  set -- "$@" --protected-mode no
  if [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis:redis '{}' +
    exec setpriv --reuid=redis --regid=redis --init-groups "$@"
  fi
fi
exec "$@"

#!/bin/sh
# Fills /etc/nginx/templates/*.template from the environment into /etc/nginx/conf.d, then starts nginx.
set -eu
if [ "$1" = nginx ]; then
  # Only variables that are set: nginx's own $names stay.
  defined=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | tr '\n' ' ')
  for template in /etc/nginx/templates/*.template; do
    [ -e "$template" ] || continue
    name=${template##*/}
    envsubst "$defined" <"$template" >"/etc/nginx/conf.d/${name%.template}"
  done
fi
exec "$@"

#!/bin/sh
# manage.py as systemd's units start it: as the user touchstone, with the settings of /etc/touchstone.env. For root.
# The file is read as systemd reads it: a line is a name, =, and the value as it stands, be there $ or & in it or not.
set -eu
cd "$(dirname "$0")/.."
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
        [A-Za-z_]*=*) export "$line" ;;
    esac
done < /etc/touchstone.env
exec runuser -u touchstone -- .venv/bin/python manage.py "$@"

#!/bin/sh
# The web server of a container. TOUCHSTONE_WEB_WORKERS: about one for each core.
set -eu
export TOUCHSTONE_DB_POOL=1
exec python -m gunicorn config.wsgi --bind 0.0.0.0:8000 --workers "${TOUCHSTONE_WEB_WORKERS:-2}" --threads 4 \
    --timeout 120 --keep-alive 75 --no-control-socket --worker-tmp-dir /dev/shm

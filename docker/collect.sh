#!/bin/sh
# Style sheets and scripts into TOUCHSTONE_STATIC, while an image is built. The settings want values that only a running
# server needs; these are used for nothing else.
set -eu
TOUCHSTONE_ENV=production TOUCHSTONE_ALLOWED_HOSTS=build \
    TOUCHSTONE_SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    DATABASE_URL=postgresql://build@nowhere/build \
    python manage.py collectstatic --noinput --verbosity 0

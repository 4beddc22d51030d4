"""The web server's entry: `gunicorn config.wsgi`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("TOUCHSTONE_DB_POOL", "1")  # threads share connections; nothing forks after this point

from django.core.wsgi import get_wsgi_application

from config import database

database.start()
application = get_wsgi_application()

"""What a page that people must sign in for (annotation/doors.py) is given."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from annotation.models import User


class Request(HttpRequest):
    """Only a type: the middleware has put a signed-in person and htmx's headers on the request."""

    user: User
    htmx: HtmxDetails

"""The API of room 1, a module for each topic: gate, serializer, verb, answer."""

from annotation.api import labelling

urlpatterns = [*labelling.urlpatterns]

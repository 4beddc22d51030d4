"""The API of room 1, a module for each topic: gate, serializer, verb, answer."""

from annotation.api import labelling, quality

urlpatterns = [*labelling.urlpatterns, *quality.urlpatterns]

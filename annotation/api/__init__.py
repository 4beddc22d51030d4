"""The API of room 1, a module for each topic: gate, serializer, verb, answer."""

from annotation.api import labelling, people, quality, review, talk

urlpatterns = [
    *labelling.urlpatterns,
    *people.urlpatterns,
    *quality.urlpatterns,
    *review.urlpatterns,
    *talk.urlpatterns,
]

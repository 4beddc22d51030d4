"""The API of room 1, a module for each topic: gate, serializer, verb, answer."""

from annotation.api import accesskeys, checking, gold, guidelines, labelling, people, quality, review, talk, webhooks

urlpatterns = [
    *accesskeys.urlpatterns,
    *checking.urlpatterns,
    *labelling.urlpatterns,
    *gold.urlpatterns,
    *guidelines.urlpatterns,
    *people.urlpatterns,
    *quality.urlpatterns,
    *review.urlpatterns,
    *talk.urlpatterns,
    *webhooks.urlpatterns,
]

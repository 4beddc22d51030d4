"""The API of room 1, a module for each topic: gate, serializer, verb, answer."""

from annotation.api import checking, exports, gold, guidelines, labelling, people, quality, review, talk

urlpatterns = [
    *checking.urlpatterns,
    *exports.urlpatterns,
    *labelling.urlpatterns,
    *gold.urlpatterns,
    *guidelines.urlpatterns,
    *people.urlpatterns,
    *quality.urlpatterns,
    *review.urlpatterns,
    *talk.urlpatterns,
]

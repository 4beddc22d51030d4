"""The API of room 1, a module for each topic: gate, serializer, verb, answer."""

from annotation.api import (
    accesskeys,
    browse,
    bulk,
    checking,
    cleaning,
    exports,
    gold,
    guidelines,
    imports,
    labelling,
    people,
    quality,
    review,
    talk,
    webhooks,
)

urlpatterns = [
    *labelling.urlpatterns,  # first, since they are asked for with every label
    *browse.urlpatterns,
    *bulk.urlpatterns,
    *accesskeys.urlpatterns,
    *checking.urlpatterns,
    *cleaning.urlpatterns,
    *exports.urlpatterns,
    *gold.urlpatterns,
    *guidelines.urlpatterns,
    *imports.urlpatterns,
    *people.urlpatterns,
    *quality.urlpatterns,
    *review.urlpatterns,
    *talk.urlpatterns,
    *webhooks.urlpatterns,
]

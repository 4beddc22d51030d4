import random
from functools import partial
import pytest
from django.core.exceptions import ValidationError
from annotation import labelling
from annotation.models import Item, Label
from tests.annotation import test_concurrency as tc
from tests.annotation.making import *

@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_soak(project, member, alice, wanted, monkeypatch):
    monkeypatch.setattr(tc, "ITEMS", 80)
    project.skip_policy = "to_me"; project.labels_per_item = wanted; project.save()
    for n in range(80): a_comparison(project, priority=n % 3)
    people = [member(f"p{n}") for n in range(5)]
    h = tc.Hammer(wanted)
    spare = [20]
    def retractor():
        d = random.Random(5)
        while not h.over.is_set() and spare[0]:
            live = list(Label.objects.live().order_by("?")[:1])
            if live:
                with h.counting: h.left += 1
                try:
                    # only while 2 people remain who could do it
                    if live[0].item.labels.count() < 5 - wanted - 0:
                        labelling.retract(label=live[0], actor=alice); spare[0] -= 1
                    else:
                        with h.counting: h.left -= 1
                except ValidationError:
                    with h.counting: h.left -= 1
            h.over.wait(0.01)
    work = [partial(h.work, people[n % 5], n) for n in range(20)]
    try:
        all_at_once(*work, h.take_back, h.take_back, h.monitor, retractor, patience=150)
    finally:
        h.over.set()
    h.check()
    print(h.happened, spare, h.left)
    assert Item.objects.filter(taken=wanted).count() == 80

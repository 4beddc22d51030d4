"""Guidelines in versions, and asking people to read them again."""

from annotation.guidelines import mark_read, publish, unread
from annotation.models import Event


def test_a_new_text_is_a_new_version_and_the_old_one_stays(project, alice):
    first = project.current_guidelines
    second = publish(project=project, text="# Be brief", actor=alice.person, note="Shorter.")
    assert (first.number, second.number) == (1, 2)
    assert project.guidelines == "# Be brief"
    assert list(project.guidelines_versions.values_list("text", flat=True)) == ["# Be brief", "# Be *kind*"]
    event = Event.objects.get(verb="guidelines changed")
    assert (event.actor, event.data) == (alice.person, {"number": 2, "note": "Shorter."})


def test_the_same_text_again_is_no_new_version(project):
    assert publish(project=project, text="# Be *kind*").number == 1
    assert not Event.objects.exists()


def test_people_are_asked_to_read_until_they_have(project, bob):
    assert unread(bob) is None  # the first version of these tests does not ask
    second = publish(project=project, text="Be brief.")
    assert unread(bob) == second
    mark_read(membership=bob, version=second)
    assert unread(bob) is None


def test_a_small_change_asks_nobody_but_those_who_missed_a_large_one(project, bob, bea):
    large = publish(project=project, text="Be brief.")
    mark_read(membership=bob, version=large)
    small = publish(project=project, text="Be brief!", asks_again=False)
    assert unread(bob) is None
    assert unread(bea) == small


def test_empty_guidelines_ask_nobody(project, bob):
    publish(project=project, text=" ")
    assert unread(bob) is None

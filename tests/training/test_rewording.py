"""Whether a wording says the same: what is held against it, tried on texts of every kind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import rewording
from training.nearness import Nearness
from training.rewording import Heldout

WORDS = ["parcel", "letter", "bridge", "return", "where", "tomorrow", "office", "ticket", "garden", "window", "doctor"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
anything = st.text(max_size=60)
steady = settings(derandomize=True, deadline=None, max_examples=60)


@steady
@given(one=anything, other=anything)
def test_no_text_breaks_a_check(one, other):
    for bare in (rewording.bare(one), rewording.bare(other)):
        assert bare == bare.strip()
    rewording.lost(one, other)
    rewording.length(one, other)
    rewording.repeats(one, [other])
    near, share = Heldout([other]).nearer(one, other)
    assert 0 <= share <= 1
    assert not near or share >= rewording.NEAR


@steady
@given(text=texts)
def test_a_text_is_the_same_as_itself_and_repeats_itself(text):
    assert rewording.is_same(text, f"  {text.upper()}?! ")
    assert rewording.repeats(text, ["nothing of the kind", text])
    assert rewording.lost(text, text) == rewording.length(text, text) == ""


@steady
@given(text=texts, number=st.integers(0, 10**9), before=st.booleans())
def test_a_number_is_neither_lost_nor_invented(text, number, before):
    numbered = f"{number} {text}" if before else f"{text} {number}"
    assert rewording.lost(numbered, text) == str(number) == rewording.lost(text, numbered)
    assert rewording.lost(numbered, f"of {number}: {text}") == ""


@pytest.mark.parametrize(
    ("original", "other", "missing"),
    [
        ("What does {product} cost?", "What is the price of the product?", "{product}"),
        ("Dear [NAME], are you in?", "Dear friend, are you there?", "[NAME]"),
        ("Is https://a.example/x up?", "Is the site up?", "https://a.example/x"),
        ("Write to ann@example.org, please.", "Write to Ann, please.", "ann@example.org"),
        ("Why does `print(x)` fail?", "Why does printing fail?", "`print(x)`"),
        ("When did Ms Ito leave?", "When did Ms Sato leave?", "ito"),
        ("Is the GPU on?", "Is the card on?", "gpu"),
        ("It costs 1,200.50 now?", "Is it 1,200 now?", "1,200.50"),
        ("Was it Ito who called?", "Did Ito's office call?", ""),
        ("Tell me: Is it late?", "I would like to know whether it is late.", ""),
        ("Wo ist die Brücke nach Bonn, und wann fährt der Bus dorthin?", "Wo finde ich den Weg?", ""),
        ("Wo steht das NATO-Gebäude in der großen alten Stadt?", "Wo ist das Gebäude in der alten Stadt?", "nato"),
    ],
)
def test_names_addresses_and_places_to_fill_in_are_kept(original, other, missing):
    assert rewording.lost(original, other) == missing


def test_another_language_is_seen_where_it_can_be():
    english = "Could you please tell me where the station is and when it opens?"
    german = "Könnten Sie mir bitte sagen, wo der Bahnhof ist und wann er öffnet?"
    assert rewording.other_language(english, german)
    assert rewording.other_language(english, german, "en")
    assert not rewording.other_language(english, english.replace("station", "harbour"), "eng")
    assert not rewording.other_language("Hi!", "Hallo!")


@steady
@given(heldout=st.lists(texts, min_size=1, max_size=6), original=texts)
def test_what_is_held_out_is_never_a_paraphrase(heldout, original):
    """Whatever it was made of: the same words are near, and nearer unless the original has them all, too."""
    kept_out = Heldout(heldout)
    for text in heldout:
        nearer, share = kept_out.nearer(original, text)
        assert share == 1
        assert nearer or set(text.split()) == set(original.split())
        assert kept_out.near([original, f" {text.title()}."]) >= {1}


@steady
@given(heldout=st.lists(texts, max_size=6), original=texts)
def test_its_original_is_no_nearer_than_itself(heldout, original):
    assert not Heldout(heldout).nearer(original, original)[0]


@steady
@given(others=st.lists(texts, min_size=1, max_size=6), text=texts)
def test_shares_are_those_counted_by_hand(others, text):
    """Jaccard's share with each word counting log(1 + n / how many have it), and 0.5 for those that none has."""
    from math import log

    sets = [set(other.split()) for other in others]
    worth = {word: log(1 + len(sets) / (sum(word in one for one in sets) or 0.5)) for word in WORDS}
    own = set(text.split())
    by_hand = [sum(worth[w] for w in own & one) / sum(worth[w] for w in own | one) for one in sets]
    assert Nearness(others).shares(text).tolist() == pytest.approx(by_hand, abs=1e-8)

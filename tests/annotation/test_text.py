"""Equal things have equal hashes; what cannot be stored has a reason; prompts are split by their hashes alone."""

import math

import pytest

from annotation.text import canonical, is_heldout, sha256, storable, why_unstorable

# Hashes


def test_equal_values_have_one_spelling():
    assert canonical({"b": [1, None, True], "a": "é"}) == canonical({"a": "é", "b": [1, None, True]})
    assert canonical({"b": [1, None, True], "a": "é"}) == '{"a":"é","b":[1,null,true]}'
    assert canonical({"a": 1}) != canonical({"a": "1"})
    assert canonical([1, 2]) != canonical([2, 1])


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": -math.inf}])
def test_what_has_no_spelling_is_refused(value):
    with pytest.raises(ValueError, match="Out of range float"):
        canonical(value)


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("Zoë", "c6a12698582fc1104ea24107a2d7268145ff06ef859707729d01fd060897f067"),
        ([{"role": "user", "content": "Hi"}], "557f6d9586f57ae72d24a7d34f47ed219efecbc197894dfead83851aaa02e87f"),
    ],
)
def test_hashes_stay_what_they_are(value, digest):
    """Prompts and answers are known by these for ever: a change here makes every import add everything again."""
    assert sha256(value) == digest


def test_a_text_and_a_list_of_it_differ():
    assert sha256("a") != sha256(["a"]) != sha256({"a": None})


def test_half_a_surrogate_pair_has_a_hash_of_its_own():
    assert len({sha256(text) for text in ("\ud83d", "\ude00", "?", "😀")}) == 4


# Held out


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_about_the_share_that_was_asked_for_is_held_out(share):
    held = sum(is_heldout(sha256(f"question {number}"), share) for number in range(4000))
    assert abs(held / 4000 - share) < 5 * (share * (1 - share) / 4000) ** 0.5


def test_all_or_nothing_can_be_held_out():
    digests = ["0" * 64, "f" * 64, *(sha256(str(number)) for number in range(100))]
    assert not any(is_heldout(digest, 0) for digest in digests)
    assert all(is_heldout(digest, 1) for digest in digests)


def test_a_larger_share_holds_out_what_a_smaller_one_did():
    for number in range(500):
        digest = sha256(str(number))
        assert is_heldout(digest, 0.5) >= is_heldout(digest, 0.2)


# What can be stored


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value


STORABLE = {
    "nothing": "",
    "odd characters": "😀\x01\x7f\uffff",
    "all kinds": {"a": [1, 1.5, None, True, {"b": ()}]},
    "a great number": 10**30,
    "many levels": nested(100),
}


@pytest.mark.parametrize("value", STORABLE.values(), ids=STORABLE)
def test_what_can_be_stored_has_no_reason_against_it(value):
    assert why_unstorable(value) == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\0", "NUL"),
        ("a\ud800", "surrogate"),
        ("\udfff", "surrogate"),
        ({"\0": 1}, "NUL"),
        ({"a": [{"b": ["c", "\0"]}]}, "NUL"),
        ([1.0, float("nan")], "not finite"),
        (-math.inf, "not finite"),
        (nested(101), "nested more than 100 levels deep"),
        (nested(20_000), "nested more than 100 levels deep"),
    ],
    ids=["NUL", "high", "low", "key", "deep", "nan", "inf", "levels", "many levels"],
)
def test_what_cannot_be_stored_has_a_reason(value, reason):
    assert reason in why_unstorable(value)


def test_storable_replaces_what_cannot_be_stored_and_nothing_else():
    assert storable("a\0b\ud800c\udfff 😀\n") == "a�b�c� 😀\n"

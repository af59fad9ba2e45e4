"""The payment reference: six characters and one to check them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.laybys.references import ALPHABET, check_character, is_well_formed, near, new_reference, normal_form

bodies = st.text(ALPHABET, min_size=6, max_size=6)


@pytest.mark.parametrize(("body", "check"), [("7K3MQ9", "6"), ("A1B2C3", "9"), ("ZZZZZZ", "S")])
def test_the_check_character_of_the_examples(body: str, check: str):
    assert check_character(body) == check
    assert is_well_formed(body + check)


def slips(reference: str) -> set[str]:
    changed = {reference[:i] + c + reference[i + 1 :] for i in range(7) for c in ALPHABET}
    swapped = set()
    for i in range(7):
        for j in range(i + 1, 7):
            letters = list(reference)
            letters[i], letters[j] = letters[j], letters[i]
            swapped.add("".join(letters))
    return (changed | swapped) - {reference}


def test_every_change_of_one_character_and_every_swap_of_two_is_caught():
    rng = random.Random(6)  # noqa: S311 - a test repeats itself
    tried = 0
    for _ in range(400):
        reference = new_reference(rng.getrandbits)
        wrong = slips(reference)
        assert not [one for one in wrong if is_well_formed(one)]
        tried += len(wrong)
    assert tried > 90_000


@given(bodies)
def test_a_slip_is_never_another_reference_and_suggests_the_right_one(body: str):
    reference = body + check_character(body)
    for wrong in (reference[:3] + reference[4:], reference[1] + reference[0] + reference[2:], "Z" + reference[1:]):
        assert wrong == reference or not is_well_formed(wrong) or len(wrong) != 7
        assert wrong == reference or reference in near(wrong)
    assert reference not in near(reference)


@given(st.integers(0, 2**30 - 1))
def test_a_new_reference_is_short_and_has_no_look_alikes(bits: int):
    reference = new_reference(lambda n: bits)
    assert len(reference) == 7
    assert set(reference) <= set(ALPHABET)
    assert is_well_formed(reference)
    assert normal_form(reference) == reference


def test_different_bits_are_different_references():
    made = {new_reference(lambda n, bits=bits: bits) for bits in range(0, 2**30, 104_729)}
    assert len(made) == len(range(0, 2**30, 104_729))


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("7k3mq96", "7K3MQ96"),
        (" 7K3-MQ9 6\n", "7K3MQ96"),
        ("7K3MQ\uff196", "7K3MQ96"),
        ("oil", "011"),
        ("ACC/2024/0017", "ACC20240017"),
        ("é7K", "7K"),
        ("", ""),
        ("\0\ud800", ""),
    ],
)
def test_the_normal_form_forgives_how_it_was_typed(typed: str, normal: str):
    assert normal_form(typed) == normal


@given(st.text(max_size=60))
def test_whatever_is_typed_has_a_normal_form_and_it_is_its_own(typed: str):
    assert normal_form(normal_form(typed)) == normal_form(typed)
    assert all(is_well_formed(one) for one in near(typed))


def test_what_is_far_too_long_suggests_nothing():
    assert near("7K3MQ96" * 1000) == []

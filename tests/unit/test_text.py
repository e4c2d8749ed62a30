"""What others have chosen is told within bounds, and nothing of it is hidden or forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straight_through.text import LONGEST_MESSAGE, UNSEEN, listed, shown, told

# Any character, lone surrogates too, and often one of those that do harm.
ANY = st.text(
    st.characters() | st.sampled_from("\n\r\x1b\u202e\u200b\ud800\xa0\u2028"), max_size=400
)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("claims/may.csv", "claims/may.csv"),
        ("Schäden/مايو/五月.csv", "Schäden/مايو/五月.csv"),
        ("may\nNext: send money", r"may\nNext: send money"),
        ("may\r\u2028\u2029\x85", r"may\r\u2028\u2029\x85"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("may\u202evsc.exe", r"may\u202evsc.exe"),
        ("may\u200b\u2066\ufeff\u00ad", r"may\u200b\u2066\ufeff\xad"),
        ("Premium\xa0net", r"Premium\xa0net"),
        ("may\ud800.csv", r"may\ud800.csv"),
        ("may\u3164\ufe0f", r"may\u3164\ufe0f"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, seen: str) -> None:
    assert shown(text) == seen


@given(ANY, st.integers(30, 300))
def test_whatever_the_text_one_printable_line_within_its_bounds_is_shown(
    text: str, most: int
) -> None:
    seen = shown(text, most)
    assert len(seen) <= most
    assert seen.isprintable()
    assert not UNSEEN & set(seen)
    assert seen.encode().decode() == seen


def test_a_long_text_keeps_both_ends_and_counts_its_middle() -> None:
    seen = shown("begin" + "x" * 16_372 + "end", most=60)
    assert (seen[:5], seen[-3:], len(seen)) == ("begin", "end", 60)
    # And the count is right
    (count,) = (int(word.replace(",", "")) for word in seen.split() if word[:1].isdigit())
    assert count + seen.count("x") + len("beginend") == 16_380


def test_of_many_names_the_first_are_told_and_the_others_counted() -> None:
    assert listed(["a", "b\n"]) == r"'a', 'b\n'"
    assert listed([str(n) for n in range(16_384)], most=2) == "'0', '1' … and 16,382 more"


@given(st.text(st.characters() | st.sampled_from("\n\x1b\u202e\ud800ü"), max_size=9000))
def test_a_message_is_bounded_and_encodes(message: str) -> None:
    seen = told(message)
    assert len(seen.encode()) <= LONGEST_MESSAGE
    assert all(line.isprintable() for line in seen.split("\n"))


def test_a_long_message_keeps_its_end_which_says_what_to_do() -> None:
    message = (
        "It went wrong: " + "ü\x00" * 9000 + " Mend it. [file s3://inbox/may.csv, route claims]"
    )
    seen = told(message)
    assert seen.startswith("It went wrong: ü")
    assert seen.endswith(" Mend it. [file s3://inbox/may.csv, route claims]")
    assert " … and 27,064 bytes in all … " in seen
    assert told("two\nlines") == "two\nlines"

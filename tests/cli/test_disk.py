"""Names of files on a person's disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stp.disk import ILLEGAL, LONGEST, legal_name, legal_names


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("may.csv", "may.csv"),
        ("Schäden 🚗.csv", "Schäden 🚗.csv"),
        ("Clean claims: Sheet 1.csv", "Clean claims_ Sheet 1.csv"),
        ('<>:"/\\|?*.csv', "_________.csv"),
        ("CON.csv", "_CON.csv"),
        ("con", "_con"),
        ("Aux .csv", "_Aux .csv"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("COM1.csv", "_COM1.csv"),
        ("lpt\u00b2.csv", "_lpt\u00b2.csv"),
        ("CONOUT$", "_CONOUT$"),
        ("contract.csv", "contract.csv"),
        ("COM10.csv", "COM10.csv"),
        ("may.", "may_"),
        ("may. .", "may___"),
        ("may ", "may_"),
        ("..", "__"),
        (".", "_"),
        ("", "_"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\Windows\\may.csv", "C__Windows_may.csv"),
        ("a\nb\x00c\x7f.csv", "a_b_c_.csv"),
        ("may\u202evsc.exe", "may_vsc.exe"),
        ("\ud800.csv", "_.csv"),
    ],
)
def test_what_a_disk_does_not_take_is_replaced(name: str, legal: str) -> None:
    assert legal_name(name) == legal
    assert legal_name(legal) == legal


def test_a_long_name_is_cut_and_keeps_its_extension() -> None:
    one, two = legal_name("ä" * 300 + "1.csv"), legal_name("ä" * 300 + "2.csv")
    assert one != two
    assert one.endswith(".csv")
    assert len(one.encode()) <= LONGEST


def test_names_that_differ_in_case_or_form_only_are_told_apart() -> None:
    names = ["Claims.csv", "claims.csv", "CLAIMS.csv", "claims (2).csv", "a:.csv", "a?.csv"]
    names += ["\u00e9.csv", "e\u0301.csv", "may", "May"]
    assert legal_names(names) == [
        "Claims.csv",
        "claims (2).csv",
        "CLAIMS (3).csv",
        "claims (2) (2).csv",
        "a_.csv",
        "a_ (2).csv",
        "\u00e9.csv",
        "e\u0301 (2).csv",
        "may",
        "May (2)",
    ]


ANY = st.text(st.sampled_from('aA1ß.:/\\ "<\u0301é\n') | st.characters(), max_size=300)


@given(
    st.lists(
        ANY
        | st.sampled_from(
            ["con", "NUL.csv", "x" * 250, "X" * 250, "con." + "x" * 250, "con.y" + "x" * 200]
        ),
        max_size=12,
    )
)
def test_whatever_the_names_are_each_has_a_legal_one_of_its_own(names: list[str]) -> None:
    made = legal_names(names)
    assert len({name.casefold() for name in made}) == len(names)
    for name in made:
        assert name
        assert not ILLEGAL.search(name)
        assert name[-1] not in ". "
        assert len(name.encode()) <= LONGEST
        assert legal_name(name) == name

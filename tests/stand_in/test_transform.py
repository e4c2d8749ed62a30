"""What pipelines make of a bordereau."""

import csv
from pathlib import Path
from typing import Any

import pytest

from local.quantemplate import transform

SAMPLES = Path(__file__).parents[2] / "local" / "samples"


def read(path: Any) -> Any:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def made(source: Any, kind: Any, folder: Any) -> Any:
    names = transform.KINDS[kind][1]
    targets = [folder / str(number) for number in range(len(names))]
    transform.KINDS[kind][0](source, targets)
    return dict(zip(names, map(read, targets), strict=True))


def one_claim(tmp_path: Path, header: Any, value: Any) -> Any:
    source = tmp_path / "claim.csv"
    text = f'\ufeffClaim Ref,Policy No.,Date of Loss,{header}\nC1,P1,2026-05-03,"{value}"\n'
    source.write_text(text, encoding="utf-8")
    return made(source, "claims", tmp_path)


def test_every_row_of_the_sample_is_clean_or_in_the_report(tmp_path: Path) -> None:
    # Given
    given = read(SAMPLES / "claims_may.csv")
    # When
    outputs = made(SAMPLES / "claims_may.csv", "claims", tmp_path)
    # Then
    clean = outputs["Clean claims: Sheet 1"]
    report = outputs["Validation report: Sheet 1"]
    assert 300 <= len(given) <= 400
    failed = {int(row["Row"]) for row in report}
    kept = [row["Claim Ref"] for at, row in enumerate(given, start=2) if at not in failed]
    assert [row["Claim Reference"] for row in clean] == kept
    assert ("43", "Loss Date", "31/04/2026", "not a date") in [tuple(r.values()) for r in report]
    assert len(report) == 5


def test_the_clean_rows_of_the_sample_add_up(tmp_path: Path) -> None:
    clean = made(SAMPLES / "claims_may.csv", "claims", tmp_path)["Clean claims: Sheet 1"]
    assert {row["Insured"] for row in clean} >= {
        "Müller & Söhne Spedition GmbH",
        "Northgate Timber, Stone & Tile Ltd",
    }
    for row in clean:
        paid, outstanding = float(row["Paid"]), float(row["Outstanding"])
        assert float(row["Incurred"]) == pytest.approx(paid + outstanding, abs=0.006)
        assert row["Loss Date"] <= row["Notification Date"]


def test_the_mapping_report_names_the_canonical_columns(tmp_path: Path) -> None:
    outputs = made(SAMPLES / "claims_may.csv", "claims", tmp_path)
    mapping = {
        row["Source Column"]: row["Canonical Column"] for row in outputs["Mapping report: Sheet 1"]
    }
    assert mapping["Date of Loss"] == "Loss Date"
    assert mapping["Ccy"] == "Currency"
    assert len(mapping) == 12


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("2026-05-03", "2026-05-03"),
        ("03/05/2026", "2026-05-03"),
        ("3 May 2026", "2026-05-03"),
        ("03.05.2026", "2026-05-03"),
        ("3-May-26", "2026-05-03"),
    ],
)
def test_dates_become_iso(tmp_path: Path, given: Any, clean: Any) -> None:
    outputs = one_claim(tmp_path, "Date Notified", given)
    assert outputs["Clean claims: Sheet 1"][0]["Notification Date"] == clean


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1234,5", "1234.5"),
        ("1,234", "1234"),
        ("1,234,567.89", "1234567.89"),
        (" 99.90 ", "99.90"),
        ("£10", "10"),
        ("-5.00", "-5.00"),
        ("(5.00)", "-5.00"),
    ],
)
def test_amounts_lose_their_separators(tmp_path: Path, given: Any, clean: Any) -> None:
    outputs = one_claim(tmp_path, "Paid", given)
    assert outputs["Clean claims: Sheet 1"][0]["Paid"] == clean


@pytest.mark.parametrize("given", ["tbc", "1,23,4.5", "1.2.3", "-"])
def test_what_is_no_amount_is_reported_and_left_out(tmp_path: Path, given: Any) -> None:
    outputs = one_claim(tmp_path, "Paid", given)
    assert outputs["Clean claims: Sheet 1"] == []
    (row,) = outputs["Validation report: Sheet 1"]
    assert row == {"Row": "2", "Column": "Paid", "Value": given, "Problem": "not a number"}


def test_a_row_with_too_few_columns_is_reported(tmp_path: Path) -> None:
    source = tmp_path / "claims.csv"
    source.write_text("Claim Ref,Policy No.,Date of Loss\nC1,P1\n", encoding="utf-8")
    (row,) = made(source, "claims", tmp_path)["Validation report: Sheet 1"]
    assert row["Problem"] == "expected 3 columns, found 2"


def test_columns_that_are_not_known_are_kept(tmp_path: Path) -> None:
    outputs = one_claim(tmp_path, "Loss Adjuster", " Somebody ")
    assert outputs["Clean claims: Sheet 1"][0]["Loss Adjuster"] == "Somebody"


def test_premiums_keep_every_row(tmp_path: Path) -> None:
    given = read(SAMPLES / "premiums_q2.csv")
    outputs = made(SAMPLES / "premiums_q2.csv", "premiums", tmp_path)
    (register,) = outputs.values()
    assert len(register) == len(given) == 40
    assert all(float(row["Gross Premium"]) > 0 for row in register)

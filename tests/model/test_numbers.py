from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import ApiError
from atoll.model import keycode, numbers

TOO_LONG = "Attempting to store more than 38 significant digits in a Number"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"

numbers_in_range = st.builds(
    lambda sign, digits, exponent: f"{sign}{digits[0]}.{digits[1:]}E{exponent}",
    st.sampled_from(["", "-", "+"]),
    st.builds(lambda first, rest: first + rest, st.sampled_from("123456789"), st.text("0123456789", max_size=37)),
    st.integers(-130, 125),
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("0E125", "0"),
        ("0e-130", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("00042", "42"),
        ("-007", "-7"),
        ("100", "100"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1.5E2", "150"),
        ("1e+2", "100"),
        ("25e-3", "0.025"),
        ("1" + "0" * 60, "1" + "0" * 60),
        ("1" + "0" * 36 + "1", "1" + "0" * 36 + "1"),
        ("1E125", "1" + "0" * 125),
        ("9" * 38 + "E88", "9" * 38 + "0" * 88),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("1.5E-130", "0." + "0" * 129 + "15"),
        ("1." + "0" * 50, "1"),
        ("0" * 50 + "1", "1"),
        ("١٢", "12"),
    ],
)
def test_canonical_text(given: str, canonical: str) -> None:
    assert numbers.canonical(given) == canonical
    assert numbers.canonical(canonical) == canonical


@pytest.mark.parametrize(
    "text", ["x", " 1", "1 ", "1\n", "1E", "E1", ".", "-", "+-1", "0x10", "NaN", "Infinity", "1_0", "1d", "²"]
)
def test_text_that_is_not_a_number(text: str) -> None:
    with pytest.raises(ApiError) as error:
        numbers.canonical(text)
    assert error.value.message == f"The parameter cannot be converted to a numeric value: {text}"


def test_empty_text_is_not_a_number() -> None:
    with pytest.raises(ApiError) as error:
        numbers.canonical("")
    assert error.value.message == "The parameter cannot be converted to a numeric value"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1" * 39, TOO_LONG),
        ("0." + "1" * 39, TOO_LONG),
        ("1" + "0" * 38 + "1", TOO_LONG),
        ("1E126", OVERFLOW),
        ("-1E126", OVERFLOW),
        ("1e1000000", OVERFLOW),
        ("9" * 38 + "E89", OVERFLOW),
        ("9.9E-131", UNDERFLOW),
        ("-1E-131", UNDERFLOW),
        ("1e-1000000", UNDERFLOW),
    ],
)
def test_range(text: str, message: str) -> None:
    with pytest.raises(ApiError) as error:
        numbers.canonical(text)
    assert error.value.message == message


@given(numbers_in_range)
def test_canonical_text_keeps_the_value(text: str) -> None:
    canonical = numbers.canonical(text)
    assert Fraction(canonical) == Fraction(text)
    assert "E" not in canonical
    assert "." not in canonical or canonical[-1] not in "0."


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        ("1", "2", "3"),
        ("0.1", "0.2", "0.3"),
        ("1", "-1", "0"),
        ("1" + "0" * 37, "1", "1" + "0" * 36 + "1"),
        ("9" * 38, "1", "1" + "0" * 38),
        ("1" + "0" * 38, "-1", "9" * 38),
        ("1" + "0" * 38, "1", OVERFLOW),
        ("1", "0." + "0" * 37 + "1", OVERFLOW),
        ("1" + "0" * 125, "9" + "0" * 125, OVERFLOW),
        ("0." + "0" * 129 + "15", "-0." + "0" * 129 + "1", UNDERFLOW),
    ],
)
def test_sums_and_differences_are_exact_or_refused(a: str, b: str, total: str) -> None:
    negated = numbers.subtract("0", b)
    if total.startswith(("Attempting", "Number")):
        for compute in (lambda: numbers.add(a, b), lambda: numbers.subtract(a, negated)):
            with pytest.raises(ApiError) as error:
                compute()
            assert error.value.message == total
    else:
        assert numbers.add(a, b) == total
        assert numbers.subtract(a, negated) == total


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("1000", 2),
        ("1200", 2),
        ("12345", 4),
        ("-1", 3),
        ("-12.5", 4),
        ("0.5", 2),
        ("0.05", 2),
        ("0.005", 2),
        ("0.0125", 3),
        ("1.5", 3),
        ("9" * 38, 20),
        ("1" + "0" * 125, 2),
        ("0." + "0" * 129 + "1", 2),
    ],
)
def test_size(text: str, size: int) -> None:
    assert numbers.size(text) == size


@settings(max_examples=300)
@given(numbers_in_range)
def test_size_is_that_of_the_binary_form(text: str) -> None:
    canonical = numbers.canonical(text)
    raw = keycode.raw_n(canonical)
    # The binary form of a negative number of the greatest length goes without its end mark, its size does not.
    ends = Decimal(canonical) < 0 and raw[-1] != 0x66
    assert numbers.size(canonical) == len(raw) + ends

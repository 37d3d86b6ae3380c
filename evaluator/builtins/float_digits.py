"""The decimal digits with which JSON names a float.

Nix's JSON library uses Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with
Integers", 2010). Its digits always read back the same, but in one case of a thousand they are not the shortest
(0.55756 becomes 0.5575599999999999), and such texts end up in derivations: so the same algorithm runs here, with
the same choice of powers of ten.
"""

from __future__ import annotations

import struct
from typing import Final

_HIDDEN_BIT: Final = 1 << 52
_EXPONENT_BIAS: Final = 1075
_ONE_64: Final = 1 << 64
_HALF_64: Final = 1 << 63
# Scaled numbers have a binary exponent from -60 to -32; the powers of ten are eight orders apart.
_LOWEST_EXPONENT: Final = -60
_FIRST_POWER: Final = -300
_POWER_STEP: Final = 8


def _power_of_ten(power: int) -> tuple[int, int]:
    """10**power as a 64-bit significand (its top bit set, rounded to nearest) and a binary exponent."""
    if power >= 0:
        exact = 10**power
        shift = exact.bit_length() - 64
        if shift <= 0:
            return exact << -shift, shift
        return (exact + (1 << (shift - 1))) >> shift, shift
    divisor = 10**-power
    shift = divisor.bit_length() + 64
    quotient = (1 << shift) // divisor
    extra = quotient.bit_length() - 64
    return (quotient + (1 << (extra - 1))) >> extra, extra - shift


def _scaling_power(exponent: int) -> int:
    """The power of ten that brings a normalised number with this binary exponent into range."""
    wanted = _LOWEST_EXPONENT - exponent - 1
    # 78913 / 2**18 is log10(2), rounded; the division truncates, as in C.
    scaled = abs(wanted) * 78913 >> 18
    order = scaled + 1 if wanted > 0 else -scaled
    return _FIRST_POWER + (order - _FIRST_POWER + _POWER_STEP - 1) // _POWER_STEP * _POWER_STEP


def _times(left: int, right: int) -> int:
    """The upper half of the product of two 64-bit significands, rounded."""
    return (left * right + _HALF_64) >> 64


def digits(value: float) -> tuple[str, int]:
    """The digits of a positive finite float, and the exponent of ten that the last of them has."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    fraction = bits & (_HIDDEN_BIT - 1)
    biased = bits >> 52
    if biased == 0:
        significand, exponent = fraction, 1 - _EXPONENT_BIAS
    else:
        significand, exponent = fraction + _HIDDEN_BIT, biased - _EXPONENT_BIAS
    # Half way to the neighbours above and below; the one below is nearer at a power of two.
    upper, common = 2 * significand + 1, exponent - 1
    shift = 64 - upper.bit_length()
    upper <<= shift
    common -= shift
    if fraction == 0 and biased > 1:
        lower = (4 * significand - 1) << (exponent - 2 - common)
    else:
        lower = (2 * significand - 1) << (exponent - 1 - common)
    middle = significand << (exponent - common)
    power = _scaling_power(common)
    factor, factor_exponent = _power_of_ten(power)
    # One unit inwards on both sides makes up for the rounding of the products.
    high = _times(upper, factor) - 1
    low = _times(lower, factor) + 1
    return _generate(low, _times(middle, factor), high, -(common + factor_exponent + 64), -power)


def _generate(low: int, middle: int, high: int, point: int, exponent: int) -> tuple[str, int]:
    """Digits of a number between ``low`` and ``high``, near ``middle``: fixed-point numbers with ``point`` bits."""
    delta = high - low
    distance = high - middle
    one = 1 << point
    whole = high >> point
    rest = high & (one - 1)
    found: list[int] = []
    unit = 10 ** (len(str(whole)) - 1)
    left = len(str(whole))
    while left > 0:
        found.append(whole // unit)
        whole %= unit
        left -= 1
        remaining = (whole << point) + rest
        if remaining <= delta:
            return _rounded(found, distance, delta, remaining, unit << point), exponent + left
        unit //= 10
    while True:
        rest *= 10
        found.append(rest >> point)
        rest &= one - 1
        exponent -= 1
        delta *= 10
        distance *= 10
        if rest <= delta:
            return _rounded(found, distance, delta, rest, one), exponent


def _rounded(found: list[int], distance: int, delta: int, rest: int, unit: int) -> str:
    """The digits, the last lowered towards the true value as long as that brings it nearer."""
    while (
        rest < distance
        and delta - rest >= unit
        and (rest + unit < distance or distance - rest > rest + unit - distance)
    ):
        found[-1] -= 1
        rest += unit
    return "".join(map(str, found))

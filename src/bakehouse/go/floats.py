"""Logarithms and powers as Go's `math` computes them on amd64: the last bits differ from the C library's.

A number of a definition is printed with all its digits, so a last bit shows. `log` is the classic polynomial of
FreeBSD's `e_log.c`; powers multiply whole parts by squaring and leave fractions to `_exp`, Shibata's series with fused
operations.
"""

from __future__ import annotations

from math import copysign, frexp, inf, isinf, isnan, ldexp, modf, nan, sqrt

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ODD = (
    6.666666666666735130e-01,
    2.857142874366239149e-01,
    1.818357216161805012e-01,
    1.479819860511658591e-01,
)
_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)

_LOG2_E = 1.4426950408889634073599246810018920
_LN2_UPPER = 0.69314718055966295651160180568695068359375
_LN2_REST = 0.28235290563031577122588448175013436025525412068e-12
#: 1/8!, 1/7!, … 1/2!, 1: the coefficients of the series, as divided by the power that stands outside.
_SERIES = (
    2.4801587301587301587e-5,
    1.9841269841269841270e-4,
    1.3888888888888888889e-3,
    8.3333333333333333333e-3,
    4.1666666666666666667e-2,
    1.6666666666666666667e-1,
    0.5,
    1.0,
)
_OVERFLOW = 7.09782712893384e02


def log(value: float) -> float:
    """The natural logarithm: -inf of zero, NaN of a negative number."""
    if isnan(value) or value == inf:
        return value
    if value < 0:
        return nan
    if value == 0:
        return -inf
    fraction, exponent = frexp(value)
    if fraction < sqrt(2) / 2:
        fraction, exponent = fraction * 2, exponent - 1
    rest = fraction - 1
    ratio = rest / (2 + rest)
    square = ratio * ratio
    fourth = square * square
    odd = square * (_ODD[0] + fourth * (_ODD[1] + fourth * (_ODD[2] + fourth * _ODD[3])))
    even = fourth * (_EVEN[0] + fourth * (_EVEN[1] + fourth * _EVEN[2]))
    half = 0.5 * rest * rest
    return exponent * _LN2_HIGH - ((half - (ratio * (half + (odd + even)) + exponent * _LN2_LOW)) - rest)


def power(base: float, exponent: float) -> float:
    """`base` to the power of `exponent`; infinite when out of range, NaN for a root of a negative number."""
    if exponent == 0 or base == 1:
        return 1.0
    if exponent == 1:
        return base
    if isnan(base) or isnan(exponent):
        return nan
    if base == 0:
        return _power_of_zero(base, exponent)
    if isinf(exponent) or abs(exponent) >= 2**63:
        return _huge_power(base, exponent)
    if isinf(base):
        if base < 0:
            return power(-0.0, -exponent)
        return inf if exponent > 0 else 0.0
    if abs(exponent) == 0.5 and base > 0:
        return sqrt(base) if exponent > 0 else 1 / sqrt(base)
    return _finite_power(base, exponent)


def _is_odd(value: float) -> bool:
    return abs(value) < 2**53 and value % 2 == 1


def _power_of_zero(base: float, exponent: float) -> float:
    size = inf if exponent < 0 else 0.0
    return copysign(size, base) if _is_odd(exponent) else size


def _huge_power(base: float, exponent: float) -> float:
    if base == -1:
        return 1.0
    return 0.0 if (abs(base) < 1) == (exponent > 0) else inf


def _finite_power(base: float, exponent: float) -> float:
    fraction, whole = modf(abs(exponent))
    if fraction != 0 and base < 0:
        return nan
    result, scale = 1.0, 0
    if fraction != 0:
        if fraction > 0.5:
            fraction, whole = fraction - 1, whole + 1
        result = _exp(fraction * log(base))
    factor, factor_scale = frexp(base)
    remaining = int(whole)
    while remaining:
        if abs(factor_scale) > 4096:
            scale += factor_scale
            break
        if remaining & 1:
            result *= factor
            scale += factor_scale
        factor *= factor
        factor_scale *= 2
        if factor < 0.5:
            factor, factor_scale = factor * 2, factor_scale - 1
        remaining >>= 1
    if exponent < 0:
        result, scale = 1 / result, -scale
    try:
        return ldexp(result, scale)
    except OverflowError:
        return copysign(inf, result)


def _fused(left: float, right: float, addend: float) -> float:
    """left * right + addend, rounded once."""
    from fractions import Fraction

    return float(Fraction(left) * Fraction(right) + Fraction(addend))


def _exp(value: float) -> float:
    """e to the power of a moderate number."""
    if value > _OVERFLOW:
        return inf
    scale = round(value * _LOG2_E)
    value = _fused(-_LN2_UPPER, scale, value)
    value = _fused(-_LN2_REST, scale, value) * 0.0625
    series = _SERIES[0]
    for coefficient in _SERIES[1:]:
        series = _fused(series, value, coefficient)
    value *= series
    # (1 + x)² = 1 + x(2 + x): four times, since the argument was divided by sixteen.
    for _ in range(3):
        value *= value + 2
    return ldexp(_fused(value, value + 2, 1.0), scale)

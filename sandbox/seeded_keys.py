# SPDX-License-Identifier: Apache-2.0
"""Make key pairs from a seeded generator, for simulated regions only: who knows the seed has the keys."""

from __future__ import annotations

from functools import cache
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SIEVED_TO = 2000
# Miller-Rabin's chance of a wrong yes for a number this long is below 2^-80 after so many rounds.
_ROUNDS = 4


def rsa_key(chance: Random, bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """Return an RSA key."""
    while True:
        p, q = prime(chance, bits // 2), prime(chance, bits - bits // 2)
        phi = (p - 1) * (q - 1)
        if p == q or phi % exponent == 0:
            continue
        p, q = max(p, q), min(p, q)
        d = pow(exponent, -1, phi)
        public = rsa.RSAPublicNumbers(exponent, p * q)
        return rsa.RSAPrivateNumbers(
            p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public
        ).private_key()


def curve_key(chance: Random, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    """Return a key on a curve."""
    return ec.derive_private_key(chance.getrandbits(curve.key_size - 1) | 1, curve)


def ed25519_key(chance: Random) -> Ed25519PrivateKey:
    """Return an Ed25519 key."""
    return Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))


def prime(chance: Random, bits: int) -> int:
    """Return a prime number whose two highest bits are set, so that a product of two has all its bits."""
    while True:
        candidate = chance.getrandbits(bits) | (3 << (bits - 2)) | 1
        if all(candidate % small for small in _small_primes()) and _is_prime(candidate, chance):
            return candidate


def _is_prime(number: int, chance: Random) -> bool:
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(number, chance.randrange(2, number - 1), odd, twos) for _ in range(_ROUNDS))


def _passes(number: int, base: int, odd: int, twos: int) -> bool:
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


@cache
def _small_primes() -> tuple[int, ...]:
    return tuple(n for n in range(3, _SIEVED_TO, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))

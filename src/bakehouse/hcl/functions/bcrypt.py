"""The bcrypt password hash (Provos and Mazières, 1999), version `$2a$`.

The system's libcrypt does the work where there is one; the fallback is the same algorithm in Python, which
takes seconds at the usual cost. The constants of Blowfish are the digits of pi and are computed.
"""

from __future__ import annotations

MIN_COST = 4
MAX_COST = 31
MAX_PASSWORD_BYTES = 72
_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def hash_password(password: bytes, cost: int, salt: bytes) -> str:
    """`$2a$COST$SALTHASH` for a password of at most 72 bytes, a cost of 4 to 31 and a salt of 16 bytes."""
    setting = f"$2a${cost:02d}${_encode(salt)}"
    return _system_hash(password, setting) or setting + _encode(_hash(password, cost, salt))


def _encode(data: bytes) -> str:
    bits = int.from_bytes(data, "big") << (-len(data) * 8 % 6)
    count = (len(data) * 8 + 5) // 6
    return "".join(_ALPHABET[bits >> 6 * index & 63] for index in reversed(range(count)))


def _system_hash(password: bytes, setting: str) -> str | None:
    """The hash made by libcrypt, None if that is missing or does not know bcrypt."""
    if b"\0" in password:
        return None
    import ctypes

    try:
        function = ctypes.CDLL("libcrypt.so.1").crypt
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_char_p
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    result: bytes | None = function(password, setting.encode())
    text = (result or b"").decode("ascii", "replace")
    return text if text.startswith(setting) and len(text) == 60 else None


def _pi_words(count: int) -> list[int]:
    """The first `count` 32-bit words of the fraction of pi, by Machin's formula."""
    one = 1 << (32 * count + 64)

    def inverse_tangent(divisor: int) -> int:
        term = total = one // divisor
        square, index, sign = divisor * divisor, 3, -1
        while term:
            term //= square
            total += sign * (term // index)
            index, sign = index + 2, -sign
        return total

    fraction = (16 * inverse_tangent(5) - 4 * inverse_tangent(239) - 3 * one) >> 64
    return [fraction >> 32 * index & 0xFFFFFFFF for index in reversed(range(count))]


class _Blowfish:
    """The cipher's state: 18 subkeys and four boxes of 256 words."""

    __slots__ = ("boxes", "subkeys")

    def __init__(self) -> None:
        words = _pi_words(18 + 1024)
        self.subkeys = words[:18]
        self.boxes = [words[18 + 256 * box : 274 + 256 * box] for box in range(4)]

    def encrypt(self, left: int, right: int) -> tuple[int, int]:
        subkeys = self.subkeys
        first, second, third, fourth = self.boxes
        for index in range(0, 16, 2):
            left ^= subkeys[index]
            mixed = (first[left >> 24] + second[left >> 16 & 255] ^ third[left >> 8 & 255]) + fourth[
                left & 255
            ]
            right ^= mixed & 0xFFFFFFFF
            right ^= subkeys[index + 1]
            mixed = (first[right >> 24] + second[right >> 16 & 255] ^ third[right >> 8 & 255]) + fourth[
                right & 255
            ]
            left ^= mixed & 0xFFFFFFFF
        return right ^ subkeys[17], left ^ subkeys[16]

    def expand(self, key: list[int], salt: list[int]) -> None:
        """Mix a key (18 words) and a salt (4 words, or none) into the state."""
        self.subkeys = [subkey ^ word for subkey, word in zip(self.subkeys, key, strict=True)]
        left = right = at = 0
        for table in (self.subkeys, *self.boxes):
            for index in range(0, len(table), 2):
                if salt:
                    left, right = left ^ salt[at], right ^ salt[at + 1]
                    at = 2 - at
                left, right = self.encrypt(left, right)
                table[index], table[index + 1] = left, right


def _words(data: bytes, count: int) -> list[int]:
    repeated = (data * (count * 4 // len(data) + 1))[: count * 4]
    return [int.from_bytes(repeated[index : index + 4], "big") for index in range(0, count * 4, 4)]


def _hash(password: bytes, cost: int, salt: bytes) -> bytes:
    key, salt_words = _words(password + b"\0", 18), _words(salt, 4)
    wide_salt = _words(salt, 18)
    state = _Blowfish()
    state.expand(key, salt_words)
    for _ in range(1 << cost):
        state.expand(key, [])
        state.expand(wide_salt, [])
    words = _words(b"OrpheanBeholderScryDoubt", 6)
    for _ in range(64):
        for index in (0, 2, 4):
            words[index], words[index + 1] = state.encrypt(words[index], words[index + 1])
    return b"".join(word.to_bytes(4, "big") for word in words)[:23]

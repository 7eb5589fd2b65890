"""A self-signed certificate with nothing but the standard library.

Ed25519 (RFC 8032 section 5.1) and just enough DER (X.690) for an X.509 certificate (RFC 5280, RFC 8410). The keys
are for tests only.
"""

import base64
import hashlib

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_Point = tuple[int, int]


def _add(left: _Point, right: _Point) -> _Point:
    (x1, y1), (x2, y2) = left, right
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, _P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, _P)
    return x % _P, y % _P


def _multiply(scalar: int) -> bytes:
    """The base point times `scalar`, encoded."""
    total, double = (0, 1), (_BASE_X, _BASE_Y)
    while scalar:
        if scalar & 1:
            total = _add(total, double)
        double = _add(double, double)
        scalar >>= 1
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


def _ed25519(seed: bytes) -> tuple[int, bytes, bytes]:
    """Secret scalar, prefix of the nonces, public key."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return scalar, digest[32:], _multiply(scalar)


def _sign(seed: bytes, message: bytes) -> bytes:
    scalar, prefix, public = _ed25519(seed)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % _ORDER
    point = _multiply(nonce)
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little")
    return point + ((nonce + challenge * scalar) % _ORDER).to_bytes(32, "little")


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _extension(number: int, value: bytes, *, critical: bool = False) -> bytes:
    flag = b"\x01\x01\xff" if critical else b""
    return _der(0x30, _der(0x06, bytes((0x55, 0x1D, number))), flag, _der(0x04, value))


def _pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"


def self_signed(seed: bytes, *names: str, until: str = "21260101000000Z") -> tuple[str, str]:
    """Certificate and private key in PEM. A name of digits and dots is taken for an IPv4 address."""
    public = _ed25519(seed)[2]
    algorithm = _der(0x30, _der(0x06, b"\x2b\x65\x70"))
    subject = _der(0x30, _der(0x31, _der(0x30, _der(0x06, b"\x55\x04\x03"), _der(0x0C, b"A peer of a test"))))
    alternatives = [
        _der(0x87, bytes(map(int, name.split("."))))
        if name.replace(".", "").isdigit()
        else _der(0x82, name.encode())
        for name in names
    ]
    key_id = hashlib.sha256(public).digest()[:20]
    body = _der(
        0x30,
        _der(0xA0, _der(0x02, b"\x02")),  # version 3
        _der(0x02, b"\x01" + key_id[:8]),  # serial number
        algorithm,
        subject,
        _der(0x30, _der(0x18, b"20250101000000Z"), _der(0x18, until.encode())),
        subject,
        _der(0x30, algorithm, _der(0x03, b"\x00", public)),
        _der(
            0xA3,
            _der(
                0x30,
                _extension(19, _der(0x30, b"\x01\x01\xff"), critical=True),  # basicConstraints: CA
                _extension(15, _der(0x03, b"\x02\x84"), critical=True),  # keyUsage: signature, keyCertSign
                _extension(14, _der(0x04, key_id)),  # subjectKeyIdentifier
                _extension(35, _der(0x30, _der(0x80, key_id))),  # authorityKeyIdentifier
                _extension(17, _der(0x30, *alternatives)),  # subjectAltName
            ),
        ),
    )
    certificate = _der(0x30, body, algorithm, _der(0x03, b"\x00", _sign(seed, body)))
    key = _der(0x30, b"\x02\x01\x00", algorithm, _der(0x04, _der(0x04, seed)))
    return _pem("CERTIFICATE", certificate), _pem("PRIVATE KEY", key)

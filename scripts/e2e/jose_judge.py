"""Judges a client assertion with PyJWT and cryptography. Runs in their Python: CERTIFICATE.pem, the assertion on stdin.

Prints JSON: the header, the claims, whether each reference to a certificate in the header is correct, which of them
have padding, against the RFC, and the number of certificates in `x5c`. Ends with a message if the signature or a time
is wrong, or a claim is missing.
"""

import base64
import json
import sys
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

# RFC 7523 §3, and the token ID that Entra's documentation requires.
REQUIRED = ["aud", "iss", "sub", "exp", "jti"]


def encoded(raw):
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def main():
    """Entry point."""
    certificate = x509.load_pem_x509_certificates(Path(sys.argv[1]).read_bytes())[0]
    raw = sys.stdin.read()
    header = jwt.get_unverified_header(raw)
    # The caller compares the audience, which is in the claims.
    options = {"require": REQUIRED, "verify_aud": False}
    claims = jwt.decode(raw, certificate.public_key(), algorithms=["PS256", "RS256"], options=options)
    names, padded = {}, []
    for name, algorithm in (("x5t", hashes.SHA1()), ("x5t#S256", hashes.SHA256())):
        if name in header:
            names[name] = header[name].rstrip("=") == encoded(certificate.fingerprint(algorithm))
            padded += [name] if header[name].endswith("=") else []
    chain = [base64.b64decode(entry, validate=True) for entry in header.get("x5c", [])]
    if chain:
        names["x5c"] = chain[0] == certificate.public_bytes(Encoding.DER)
    for entry in chain:
        x509.load_der_x509_certificate(entry)
    found = {"header": header, "claims": claims, "names": names, "padded": padded, "chain": len(chain)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

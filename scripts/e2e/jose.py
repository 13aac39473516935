"""An independent judge of client assertions: PyJWT checks the assertions that the emulator received."""

import json
import subprocess
from pathlib import Path

import azure_identity
from process import Failure

JUDGE = Path(__file__).with_name("jose_judge.py")


def assertions(emulator):
    """The last 50 assertions received by the token endpoint since the emulator's start, oldest first."""
    return emulator.ask("/assertions", method="GET").json()


def judge(raw, certificate):
    """The judge's findings on an assertion: header, claims, names, padded, chain; a Failure if it does not verify."""
    command = [azure_identity.python(), JUDGE, certificate]
    done = subprocess.run(command, input=raw, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Failure(f"expected PyJWT to verify the assertion with {certificate}; saw: {done.stderr}")
    return json.loads(done.stdout)


def judge_last(emulator, certificate):
    """The findings on the last assertion, compared with Entra's requirements; a Failure names what is wrong with it."""
    given = assertions(emulator)
    if not given:
        raise Failure("expected the token endpoint to have been given an assertion; there was none")
    found = judge(given[-1]["raw"], certificate)
    environment = emulator.remora_environment("certificate")
    client = environment["AZURE_CLIENT_ID"]
    base = environment["AZURE_AUTHORITY_HOST"] + environment["AZURE_TENANT_ID"]
    claims = found["claims"]
    wrong = [
        *[f"{name} is not {client}" for name in ("iss", "sub") if claims[name] != client],
        *[f"{name} names another certificate" for name, right in found["names"].items() if not right],
        *(["no thumbprint names the certificate"] if not {"x5t", "x5t#S256"} & set(found["names"]) else []),
        *([f"aud is {claims['aud']}"] if claims["aud"] not in (f"{base}/oauth2/v2.0/token", f"{base}/v2.0") else []),
        *(["it lives longer than ten minutes"] if claims["exp"] - claims.get("nbf", claims.get("iat", 0)) > 600 else []),
        *(["its jti was used before"] if [one["claims"].get("jti") for one in given].count(claims["jti"]) > 1 else []),
    ]
    if wrong:
        raise Failure(f"expected a sound assertion; {'; '.join(wrong)}: {found}")
    return found

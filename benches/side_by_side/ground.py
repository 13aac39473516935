"""What all measurements share: the bodies, the sink, the emulator that issues tokens, and the contenders."""

import os
import resource
import subprocess
from pathlib import Path

from cells import SIZES
from contender import HYPER, Floor, Hyper, Remora, Vmagent
from emulator import Emulator
from figures import YARDSTICK
from process import Failure
from proxies import Caddy, HaproxyHttp, HaproxyTcp, Nginx
from sink import Sink, make_certificate

REAL_BODY = Path(__file__).resolve().parents[2] / "core/tests/vectors/prometheus-2.42-10000-samples.snappy"
# Maximum file descriptors of a run, which has a thousand idle connections to each contender.
DESCRIPTORS = 16_384


class Ground:
    """Started once for a run, in a folder of its own."""

    def __init__(self, folder, builds):
        self.folder = folder
        raise_descriptors()
        self.bodies = make_bodies(folder)
        certificate = make_certificate(folder)
        self.emulator = Emulator(folder).start()
        self.roots = folder / "roots.pem"
        self.roots.write_text(self._emulators_roots() + certificate.read_text())
        self.sink = Sink(folder, certificate, self.roots).start()
        self.contenders = contenders(builds, self.emulator)

    def _emulators_roots(self):
        return Path(self.emulator.remora_environment()["SSL_CERT_FILE"]).read_text()

    def body(self, size):
        """The contents of the body of that size, or slightly less."""
        return self.bodies[size].read_bytes()


def contenders(builds, emulator=None):
    """All contenders; without the emulator they can only be listed."""
    proxies = [Nginx(), HaproxyHttp(), HaproxyTcp(), Caddy(), *(Hyper(*build) for build in HYPER)]
    own = [Remora(name, binary, emulator, settings) for name, binary, settings in builds]
    return [*own, *proxies, Floor(), Vmagent()]


def builds(words):
    """[(label, path, settings)] of LABEL=PATH[,NAME=VALUE…]; without any, REMORA_BIN with each value of CHECK, and the
    build with aws-lc."""
    if not words:
        shipped, other = os.environ.get("REMORA_BIN", ""), Path(os.environ.get("BENCH_BIN_DIR", "")) / "remora-aws-lc"
        extents = [(f"remora-{extent}", shipped, {"CHECK": extent}) for extent in ("off", "wire", "full")]
        return [*extents, ("remora-aws-lc", other, {"CHECK": "off"})]
    made = [build(word) for word in words]
    if len({label for label, _path, _settings in made}) < len(made):
        raise Failure("expected another LABEL for each --remora")
    return made


def build(word):
    """(label, path, settings) of one LABEL=PATH[,NAME=VALUE…]."""
    first, *rest = word.split(",")
    label, _, path = first.partition("=")
    if not label or not path or not all("=" in setting for setting in rest):
        raise Failure(f"expected --remora LABEL=PATH[,NAME=VALUE…]; saw {word!r}")
    return label, path, dict(setting.split("=", 1) for setting in rest)


def wanted(part, contenders, texts):
    """The contenders whose line `PART: NAME` contains every text, plus the yardstick if there are any."""
    chosen = [one for one in contenders if all(text in f"{part}: {one.name}" for text in texts)]
    return [one for one in contenders if one in chosen or (chosen and one.name == YARDSTICK)]


def make_bodies(folder):
    """Makes bodies of all sizes; {size: path}."""
    made = folder / "bodies"
    made.mkdir()
    command = [Path(os.environ["BENCH_BIN_DIR"]) / "bodies", REAL_BODY, made, *SIZES]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise Failure(f"expected bodies; saw {done.stderr}")
    return {size: made / f"{size}.snappy" for size in SIZES}


def raise_descriptors():
    """Raises the limit on file descriptors; the contenders inherit it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise Failure(f"expected to be allowed {DESCRIPTORS} open files; the hard limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))

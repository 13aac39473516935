"""The container image from a security team's point of view, and in a cluster."""

import hashlib
import json
import os
import re
import shutil
import tarfile
import unittest
from pathlib import Path

import pinned
from case import Case, beside, seconds, slow
from pinned import ROOT, python, run
from podman import QEMU, ContainedRemora, Podman, memory_limit, readable_by_all, root_options, status
from process import Failure, WorkFolder, wait_for
from prometheus import Prometheus
from stack import Stack

PLATFORMS = ("amd64", "arm64")
CONTENTS = ("remora", "THIRD-PARTY-LICENSES")
MOST_BYTES = 2_500_000
NOBODY = "65532"
INDEX = "application/vnd.oci.image.index.v1+json"
CYCLONEDX = "cyclonedx-python-lib[json-validation]==11.12.0"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()) or "valid")
"""


class Image(Case):
    """The output of scripts/image, in the folder IMAGE_DIR."""

    @classmethod
    def setUpClass(cls):
        cls.made = Path(os.environ["IMAGE_DIR"])
        cls.layout = cls.made / "layout"
        cls.version = json.loads((cls.layout / "index.json").read_text())["manifests"][0]["annotations"][
            "org.opencontainers.image.ref.name"
        ]
        cls.folder = WorkFolder("image")

    @classmethod
    def tearDownClass(cls):
        cls.folder.remove()

    def blob(self, descriptor):
        """A JSON blob, with its digest checked."""
        kind, digest = descriptor["digest"].split(":")
        content = (self.layout / "blobs" / kind / digest).read_bytes()
        self.assertEqual(hashlib.new(kind, content).hexdigest(), digest)
        self.assertEqual(len(content), descriptor["size"])
        return json.loads(content)

    def index(self):
        """The index that the version's tag refers to."""
        entries = json.loads((self.layout / "index.json").read_text())["manifests"]
        named = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in entries}
        self.assertEqual(named[self.version]["mediaType"], INDEX)
        return self.blob(named[self.version])

    def manifests(self):
        """Architecture -> descriptor of the image."""
        images = [one for one in self.index()["manifests"] if one["platform"]["os"] == "linux"]
        return {one["platform"]["architecture"]: one for one in images}

    def plain(self, architecture, ending=""):
        """A file beside the layout."""
        return self.made / f"remora-{self.version}-linux-{architecture}{ending}"

    def test_each_platform_is_small_and_holds_the_binary_and_its_licences_alone(self):
        self.assertEqual(tuple(sorted(self.manifests())), PLATFORMS)
        for architecture, descriptor in self.manifests().items():
            layers = self.blob(descriptor)["layers"]
            self.assertEqual(len(layers), 1)
            path = self.layout / "blobs" / layers[0]["digest"].replace(":", "/")
            with tarfile.open(path) as layer:
                files = layer.getmembers()
                content, licences = (layer.extractfile(name).read() for name in CONTENTS)
            expected = sorted(zip(CONTENTS, (0o555, 0o444), (0, 0)))
            self.assertEqual([(file.name, file.mode, file.uid) for file in files], expected)
            self.assertEqual(content, self.plain(architecture).read_bytes())
            self.assertEqual(licences, self.plain(architecture, f"-{CONTENTS[1]}").read_bytes())
            packed = layers[0]["size"]
            print(f"       linux/{architecture}: {packed:,} bytes packed, {len(content):,} unpacked", flush=True)
            # The download size for a node; scripts/checks/static limits the binary itself.
            self.assertLessEqual(packed, MOST_BYTES, f"packed bytes of linux/{architecture}")

    def test_configuration_names_user_entrypoint_and_labels(self):
        for architecture, descriptor in self.manifests().items():
            about = self.blob(self.blob(descriptor)["config"])
            self.assertEqual(about["architecture"], architecture)
            self.assertEqual(about["config"]["User"], f"{NOBODY}:{NOBODY}")
            self.assertEqual(about["config"]["Entrypoint"], ["/remora"])
            self.assertEqual(about["config"]["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0")
            self.assertEqual(about["config"]["Labels"], self.index()["annotations"])

    def test_binaries_are_static(self):
        for architecture in PLATFORMS:
            run(ROOT / "scripts/checks/static", self.plain(architecture))
            self.assertNotIn(b"GNU C Library", self.plain(architecture).read_bytes())

    def test_checksums_fit(self):
        said = run("sha256sum", "--check", "SHA256SUMS", cwd=self.made)
        self.assertEqual(said.count(": OK\n"), 7)

    def test_skopeo_copies_it_without_changing_a_digest(self):
        source, copy = f"oci:{self.layout}:{self.version}", self.folder.path / "copy"
        said = json.loads(run("skopeo", "inspect", source))
        run("skopeo", "copy", "--quiet", "--all", source, f"dir:{copy}")
        digest = hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest()
        self.assertEqual(said["Digest"], f"sha256:{digest}")
        # The images, and the bills of materials that refer to them.
        self.assertEqual(len(list(copy.glob("*.manifest.json"))), 2 * len(PLATFORMS))

    def test_umoci_unpacks_it(self):
        for architecture in PLATFORMS:
            bundle = self.folder.path / f"bundle-{architecture}"
            run("umoci", "unpack", "--rootless", "--image", f"{self.layout}:{self.version}-{architecture}", bundle)
            self.assertEqual({path.name for path in (bundle / "rootfs").iterdir()}, set(CONTENTS))

    def test_the_licences_name_every_package_in_the_binary_with_a_text(self):
        reader = pinned.crate("rust-audit-info", "0.5.4")
        for architecture in PLATFORMS:
            listed = json.loads(run(reader, self.plain(architecture)))["packages"]
            foreign = {f"{one['name']} {one['version']}" for one in listed if one.get("source") == "crates.io"}
            text = self.plain(architecture, f"-{CONTENTS[1]}").read_text()
            names = {name for line in re.findall(r"={80}\n(.*)\n={80}\n\n\S", text) for name in line.split(", ")}
            self.assertGreater(len(foreign), 50)
            self.assertEqual(foreign - names, set(), "without a text")
            self.assertIn("Copyright © 2005-2020 Rich Felker", text, "musl")

    def test_the_one_file_has_dockers_old_list_too(self):
        for architecture in PLATFORMS:
            source = f"docker-archive:{self.made}/remora-{self.version}-oci.tar:remora:{self.version}-{architecture}"
            self.assertEqual(json.loads(run("skopeo", "inspect", source))["Architecture"], architecture)

    def test_bills_of_materials_refer_to_their_images(self):
        attached = [self.blob(one) for one in self.index()["manifests"] if one["platform"]["os"] == "unknown"]
        subjects = {one["subject"]["digest"]: one for one in attached}
        for architecture, image in self.manifests().items():
            bill = subjects[image["digest"]]
            self.assertEqual(bill["artifactType"], "application/vnd.cyclonedx+json")
            document = self.blob(bill["layers"][0])
            self.assertEqual(document, json.loads(self.plain(architecture, ".cdx.json").read_text()))
            binary = hashlib.sha256(self.plain(architecture).read_bytes()).hexdigest()
            self.assertEqual(document["metadata"]["component"]["hashes"][0]["content"], binary)

    def test_bills_of_materials_are_valid(self):
        validator = python("cyclonedx", CYCLONEDX) / "python"
        for architecture in PLATFORMS:
            self.assertEqual(run(validator, "-c", VALIDATE, self.plain(architecture, ".cdx.json")), "valid\n")

    def test_an_independent_reader_finds_the_same_packages_in_the_binary(self):
        reader = pinned.crate("rust-audit-info", "0.5.4")
        for architecture in PLATFORMS:
            listed = json.loads(run(reader, self.plain(architecture)))["packages"]
            bill = json.loads(self.plain(architecture, ".cdx.json").read_text())
            crates = [one for one in bill["components"] if one["name"] != "rust-std"] + [bill["metadata"]["component"]]
            key = lambda one: (one["name"], one["version"])  # noqa: E731
            self.assertEqual(sorted(map(key, listed)), sorted(map(key, crates)))
            self.assertIn("rustls", [one["name"] for one in listed])

    # A build with a low priority, several minutes on one core.
    @slow
    @beside
    def test_another_folder_gives_the_same_digest(self):
        tree, home, target = (self.folder.path / f"another {name}" for name in ("folder", "home", "target"))
        shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns("target", "__pycache__"))
        # The same crates under another path.
        home.mkdir()
        for path in Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")).iterdir():
            (home / path.name).symlink_to(path)
        environment = {**os.environ, "CARGO_HOME": str(home), "CARGO_TARGET_DIR": str(target)}
        # Other tests with timeouts run meanwhile.
        run("nice", "-n", "19", tree / "scripts/image", env=environment)
        index = target / "image/layout/index.json"
        self.assertEqual(index.read_text(), (self.layout / "index.json").read_text())


@beside
class Containers(Case):
    """A real Prometheus writes through the image to the emulator, under Kubernetes' "restricted" profile."""

    @classmethod
    def setUpClass(cls):
        cls.made = Path(os.environ["IMAGE_DIR"])
        cls.files = WorkFolder("podman")
        cls.podman = Podman(cls.files.path)

    @classmethod
    def tearDownClass(cls):
        cls.files.remove()

    def assert_forwards(self, image, memory, *more):
        """Samples arrive unchanged, and the kernel confirms each limit."""
        with Stack("image", prometheus=False) as stack:
            folder, name = stack.folder.path, f"remora-{os.getpid()}"
            environment = readable_by_all(folder / "mounted", stack.emulator.remora_environment())
            stack.remora.stop()
            self.addCleanup(self.podman.remove, name)
            stack.remora = ContainedRemora(self.podman, name, image, folder, environment, memory, *more).start()
            self.assert_confined(self.podman.pid(name), memory)
            stack.prometheus = Prometheus(folder, stack.remora.write_url).start()
            stack.scrape_all()
            enough = lambda: stack.stored() >= 2000  # noqa: E731
            wait_for("2,000 samples to be stored", enough, seconds(60, 120), 0.25, stack.remora.process)
            stack.drain()
            numbers = self.assert_nothing_missing(stack, 2000)
            print(f"       {numbers['sent']:,} samples sent, stored and equal", flush=True)
            self.assertEqual(stack.remora.stop(), 0, f"exit status; {stack.where()}")

    def assert_confined(self, pid, memory):
        """User, capabilities, seccomp filter, memory and root of the running process."""
        seen = status(pid)
        self.assertEqual(seen["Uid"], [NOBODY] * 4)
        self.assertEqual(seen["Gid"], [NOBODY] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(seen[kind][0], 16), 0, kind)
        self.assertEqual(seen["Seccomp"], ["2"], "a seccomp filter is in force")
        self.assertEqual(seen["NoNewPrivs"], ["1"])
        self.assertEqual(memory_limit(pid), memory)
        self.assertIn("ro", root_options(pid))

    def loaded(self):
        """The name of the image that podman loaded from the single file."""
        said = self.podman("load", "--input", next(self.made.glob("*-oci.tar")))
        if not said.startswith("Loaded image: localhost/remora:"):
            raise Failure(f"expected podman to load localhost/remora; it said {said!r}")
        return said.removeprefix("Loaded image: ")

    def test_amd64_forwards_samples_in_16_mib(self):
        self.assert_forwards(self.loaded(), 16 << 20)

    def test_arm64_forwards_samples_under_qemu(self):
        # The processor emulator's own memory counts towards the same limit.
        image = f"oci:{self.made / 'layout'}:{self.loaded().rsplit(':', 1)[1]}"
        emulated = ["--platform=linux/arm64", f"--volume={QEMU}:/qemu:ro", '--entrypoint=["/qemu", "/remora"]']
        self.assert_forwards(image, 96 << 20, *emulated)


if __name__ == "__main__":
    unittest.main()

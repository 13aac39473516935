"""Puts built binaries into an image: scripts/image calls it with one --binary for each platform."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import auditable
import cyclonedx
import notices
import packages
from layout import CONFIG, EMPTY, INDEX, LAYER, MANIFEST, VERSION, Layout, archive, compressed, encoded, entry, tagged

# This number is not assigned to any user; distroless images call it nonroot.
USER = "65532:65532"
PORT = "8081/tcp"
BILL = "application/vnd.cyclonedx+json"
# The licences' texts, beside the program in the image and beside the binaries.
NOTICES = "THIRD-PARTY-LICENSES"
VARIANTS = {"arm64": {"variant": "v8"}}


class Release(NamedTuple):
    """What all platforms share; `time` in seconds since 1970."""

    version: str
    time: int
    labels: dict

    @property
    def timestamp(self):
        """The time in RFC 3339 format."""
        return datetime.fromtimestamp(self.time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Binary(NamedTuple):
    """A built binary: platform (`linux/amd64`), target triple, path."""

    platform: str
    triple: str
    path: Path

    @property
    def described(self):
        """The platform in the form of descriptors and configurations."""
        system, architecture = self.platform.split("/")
        return {"architecture": architecture, "os": system, **VARIANTS.get(architecture, {})}


class Made(NamedTuple):
    """One platform's part of the layout, as descriptors."""

    manifest: dict
    config: dict
    layer: dict
    attached: dict


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--binary", action="append", required=True, metavar="PLATFORM=TRIPLE=PATH")
    parser.add_argument("--source", metavar="URL")
    chosen = parser.parse_args()
    parts = [text.split("=", 2) for text in chosen.binary]
    chosen.binary = [Binary(platform, triple, Path(path)) for platform, triple, path in parts]
    return chosen


def release(version, licence, source):
    """Version, time and labels of this commit."""
    commit = git("log", "-1", "--format=%H %ct").split()
    labels = {
        "title": "Remora",
        "description": "Remote-write sidecar for Azure Monitor managed service for Prometheus",
        "version": version,
        "licenses": licence,
    }
    if commit:
        labels["revision"] = commit[0] + ("-changed" if git("--no-optional-locks", "status", "--porcelain") else "")
    if source:
        labels |= {"source": source, "url": source, "documentation": f"{source.rstrip('/')}#readme"}
    time = int(os.environ.get("SOURCE_DATE_EPOCH") or (commit[1] if commit else 0))
    made = Release(version, time, labels)
    return made._replace(labels=annotations(labels | {"created": made.timestamp}))


def annotations(labels):
    """The keys defined by opencontainers/image-spec, annotations.md."""
    return {f"org.opencontainers.image.{name}": labels[name] for name in sorted(labels)}


def git(*words):
    """git's output; empty outside a clone of this project, and without git."""
    # A tree without its own may lie in the clone of another project.
    if shutil.which("git") is None or not Path(".git").exists():
        return ""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"image: without revision and date, because git cannot read this clone: {done.stderr.strip()}", file=sys.stderr)
    return done.stdout.strip() if done.returncode == 0 else ""


def add_platform(layout, binary, listed, release, out):
    """The image of one platform and its bill of materials; the plain files, also the licences' texts, go to `out`."""
    plain = out / f"remora-{release.version}-{binary.platform.replace('/', '-')}"
    auditable.embed(binary.path, listed, binary.triple.split("-")[0], plain)
    plain.chmod(0o755)
    content = plain.read_bytes()
    texts = notices.notices(listed, packages.compiler_version()).encode()
    plain.with_name(f"{plain.name}-{NOTICES}").write_bytes(texts)
    manifest, config, layer = add_image(layout, binary, [("remora", 0o555, content), (NOTICES, 0o444, texts)], release)
    bill = encoded(cyclonedx.bill(listed, packages.compiler_version(), release.timestamp, sha256(content)))
    plain.with_name(plain.name + ".cdx.json").write_bytes(bill)
    return Made(manifest, config, layer, attach(layout, bill, manifest, release))


def add_image(layout, binary, contents, release):
    """Descriptors of manifest, configuration and layer: one layer with `contents`."""
    files = archive(contents, release.time)
    layer = layout.add(compressed(files), LAYER)
    config = layout.add_json(configuration(binary, files, release), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    described = layout.add_json(manifest | {"annotations": release.labels}, MANIFEST, platform=binary.described)
    return described, config, layer


def configuration(binary, files, release):
    """What an engine reads before it starts the container (opencontainers/image-spec, config.md)."""
    return {
        **binary.described,
        "created": release.timestamp,
        "config": {
            "User": USER,
            "Entrypoint": ["/remora"],
            "ExposedPorts": {PORT: {}},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": release.labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(files)}"]},
        "history": [{"created": release.timestamp, "created_by": "scripts/image"}],
    }


def attach(layout, bill, manifest, release):
    """A manifest that refers to the image. Its platform in the index is one that no machine has, so that it is copied
    with the image but never run."""
    empty = layout.add(b"{}", EMPTY)
    subject = {name: manifest[name] for name in ("mediaType", "digest", "size")}
    attached = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BILL,
        "config": empty,
        "layers": [layout.add(bill, BILL)],
        "subject": subject,
        "annotations": annotations({"created": release.timestamp}),
    }
    return layout.add_json(attached, MANIFEST, platform={"architecture": "unknown", "os": "unknown"})


def in_one_file(layout, made, index, release):
    """The image as a tar file, with its name in container engines. Docker without containerd's store reads only
    manifest.json, in which a name has one platform."""
    blobs = layout.folder.glob("blobs/sha256/*")
    files = {str(path.relative_to(layout.folder)): path.read_bytes() for path in blobs}
    known_as = {"io.containerd.image.name": f"localhost/remora:{release.version}"}
    files["oci-layout"] = VERSION
    files["index.json"] = entry([tagged(index, release.version, **known_as)])
    files["manifest.json"] = encoded([docker_entry(part, release) for part in made])
    return archive([(name, 0o644, content) for name, content in files.items()], release.time)


def docker_entry(made, release):
    """The entry of one platform in Docker's own list."""
    tag = f"remora:{platform_tag(made, release)}"
    return {"Config": blob(made.config), "RepoTags": [tag], "Layers": [blob(made.layer)]}


def blob(descriptor):
    """The path of a blob in the layout."""
    return f"blobs/sha256/{descriptor['digest'].split(':')[1]}"


def platform_tag(made, release):
    """The tag of one platform's image."""
    return f"{release.version}-{made.manifest['platform']['architecture']}"


def sha256(content):
    """The digest without its prefix."""
    return hashlib.sha256(content).hexdigest()


def write_sums(out):
    """SHA256SUMS of the files in the folder, for `sha256sum --check`."""
    files = sorted(path for path in out.iterdir() if path.is_file())
    lines = [f"{sha256(path.read_bytes())}  {path.name}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(lines))


def clear(out):
    """Removes the folder if it is empty or contains an earlier image; refuses any other."""
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / "layout/oci-layout").exists())):
        sys.exit(f"image: {out} is or contains something other than an earlier image; choose another folder with --out")
    shutil.rmtree(out, ignore_errors=True)


def report(out, made, index, release):
    """Sizes, digest, and how to push the image."""
    for part in made:
        size = part.manifest["size"] + part.config["size"] + part.layer["size"]
        platform = f"{part.manifest['platform']['os']}/{part.manifest['platform']['architecture']}"
        print(f"{platform}  {part.manifest['digest']}  {size:,} bytes")
    print(f"index        {index['digest']}")
    print(f"push with: skopeo copy --all oci:{out}/layout:{release.version} docker://REGISTRY/remora:{release.version}")


def main():
    """Entry point of scripts/image."""
    chosen = arguments()
    clear(chosen.out)
    layout = Layout(chosen.out / "layout")
    listed = {binary: packages.linked(binary.triple) for binary in chosen.binary}
    program = next(iter(listed[chosen.binary[0]].values()))
    this = release(program.version, program.licence, chosen.source)
    made = [add_platform(layout, binary, listed[binary], this, chosen.out) for binary in chosen.binary]
    manifests = [part.manifest for part in made] + [part.attached for part in made]
    entries = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": this.labels}
    index = layout.add_json(entries, INDEX)
    layout.finish({this.version: index} | {platform_tag(part, this): part.manifest for part in made})
    one_file = chosen.out / f"remora-{this.version}-oci.tar"
    one_file.write_bytes(in_one_file(layout, made, index, this))
    write_sums(chosen.out)
    report(chosen.out, made, index, this)
    return 0


if __name__ == "__main__":
    sys.exit(main())

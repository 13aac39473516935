"""An OCI image layout on disk (opencontainers/image-spec, image-layout.md): blobs by digest, and their descriptors."""

import gzip
import hashlib
import io
import json
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


class Layout:
    """A folder that is filled blob by blob and completed with `finish`. The file that marks a layout comes first, so that
    one that was never completed is recognized too."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "oci-layout").write_bytes(VERSION)
        (folder / "blobs/sha256").mkdir(parents=True)

    def add(self, content, media_type, **more):
        """Stores bytes and returns their descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    def add_json(self, value, media_type, **more):
        """Stores a JSON value and returns its descriptor."""
        return self.add(encoded(value), media_type, **more)

    def finish(self, named):
        """Writes the layout's entry point; `named` has a tag for each descriptor."""
        (self.folder / "index.json").write_bytes(entry(tagged(one, tag) for tag, one in named.items()))


VERSION = b'{"imageLayoutVersion":"1.0.0"}'


def tagged(descriptor, tag, **annotations):
    """A descriptor with a tag by which it can be selected."""
    return descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag, **annotations}}


def entry(descriptors):
    """The content of index.json."""
    return encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)})


def encoded(value):
    """JSON in the insertion order of the keys. That order is the specification's, which skopeo also uses for what it
    copies: so the digest stays the same on the way into a registry."""
    return json.dumps(value, separators=(",", ":")).encode()


def archive(members, time):
    """A tar file as bytes: (name, mode, content) in order of name, owned by root, all with the same time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode, content in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime, entry.size = mode, time, len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def compressed(content):
    """gzip without a name or time in its header."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(content)
    return buffer.getvalue()

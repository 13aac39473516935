"""The bill of materials: CycloneDX 1.5 as JSON (https://cyclonedx.org/docs/1.5/json/)."""

import uuid


def bill(packages, compiler, timestamp, subject):
    """The document for one binary; `subject` is its SHA-256, from which the serial number is derived."""
    program, *crates = packages.values()
    components = sorted((component(crate) for crate in crates), key=lambda one: one["bom-ref"])
    described = component(program) | {"type": "application", "hashes": [sha256(subject)]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, subject)}",
        "version": 1,
        "metadata": {"timestamp": timestamp, "component": described},
        "components": [*components, standard_library(compiler)],
        "dependencies": [relation(package, compiler) for package in packages.values()],
    }


def component(package):
    """One crate. An unpublished one has only a name, because a package URL could not be resolved."""
    entry = {"type": "library", "bom-ref": reference(package), "name": package.name, "version": package.version}
    if package.licence:
        entry["licenses"] = [{"expression": package.licence}]
    if not package.local:
        entry["purl"] = reference(package)
    if package.checksum:
        entry["hashes"] = [sha256(package.checksum)]
    if package.repository:
        entry["externalReferences"] = [{"type": "vcs", "url": package.repository}]
    return entry


def standard_library(compiler):
    """Rust's standard library is linked as well, including the musl that Rust ships for the target."""
    return {
        "type": "library",
        "bom-ref": toolchain(compiler),
        "name": "rust-std",
        "version": compiler,
        "description": "Rust's standard library with the musl that comes with it",
        "licenses": [{"expression": "(MIT OR Apache-2.0) AND MIT"}],
        "purl": toolchain(compiler),
    }


def relation(package, compiler):
    """The dependencies of one package."""
    names = sorted(f"pkg:cargo/{name}@{version}" for name, version in package.depends)
    return {"ref": reference(package), "dependsOn": [*names, toolchain(compiler)]}


def reference(package):
    """The package URL, which also serves as the reference within the document."""
    return f"pkg:cargo/{package.name}@{package.version}"


def toolchain(compiler):
    """The standard library's package URL."""
    return f"pkg:generic/rust-std@{compiler}"


def sha256(digest):
    """A hash entry."""
    return {"alg": "SHA-256", "content": digest}

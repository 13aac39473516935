"""Prints the linker script that places functions that run together next to each other; scripts/layout calls it.

The kernel maps the sixteen pages around each one that a program touches. In the compiler's order of functions, nearly
all of a binary's code becomes resident; a sidecar runs half of it.
"""

import re

import frames
from remora import Remora
from stack import Stack

RAN = re.compile(r"^IN: (\S+)$", re.MULTILINE)
# What differs with a compiler's version or a change elsewhere: the hash at the end of a name (Rust's old mangling), the
# crates' disambiguators (its new one), the number of a cloned function.
HASH = re.compile(r"17h[0-9a-f]{16}E")
DISAMBIGUATOR = re.compile(r"Cs[0-9A-Za-z]+_")
COPY = re.compile(r"\.[0-9]+$")

# Each adds what those before it lack: an idle sidecar's functions come first. A run is: the identity, the name of this
# machine, and the sizes of the writes in bytes.
RUNS = (
    ("From the start to the first token", ((None, "localhost", ()), (None, "127.0.0.1", ()))),
    ("Writes, and pages", ((None, "localhost", (30_000, 200_000, 30_000)),)),
)
OTHER_RUNS = (
    ("Other identities", tuple((identity, "localhost", ()) for identity in ("imds-system", "secret", "certificate"))),
)

HEAD = """\
/* Written by scripts/layout; see there. Code that a sidecar runs stands together, so that the rest is never resident.
   Functions whose names are gone do no harm: what is not named here follows in the compiler's order. */
SECTIONS
{
  .text.ran :
  {
"""

# What no run here decides: the processor and the server choose the cipher, the hash, the key exchange and the kind of
# certificate. ring's assembly has no section for each function; musl's sections have other names than its functions.
CHOSEN = """\
    /* The entry, musl, ring's ciphers, hashes and key exchange; then what is for certificates */
    *crt1.o(.text)
    *libc.a:*(.text .text.*)
    *(.text*._ZN4ring4aead*)
    *libring-*.rlib:*aes*(.text)
    *libring-*.rlib:*ghash*(.text)
    *libring-*.rlib:*sha*(.text)
    *libring-*.rlib:*25519*(.text .text.*)
    *(.text*rustls_pki_types*)
    *(.text*6webpki*)
    *libring-*.rlib:*(.text)
"""

# The unwinding tables of crtbegin and crtend are referenced by their code.
TAIL = """\
  }
  /* Tables for unwinding. */
  /DISCARD/ : { *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame) *(.gcc_except_table .gcc_except_table.*) }
}
INSERT BEFORE .text;
"""


def traced(identity, host, writes):
    """The names of the functions that run until the sidecar has a token, and while it accepts these writes."""
    with Stack("layout", prometheus=False, identity=identity) as stack:
        log = stack.folder.path / "instructions"
        processor = ("qemu-x86_64-static", "-cpu", "max", "-d", "in_asm", "-D", str(log))
        given = stack.emulator.remora_environment(identity)
        environment = {name: value.replace("//localhost", f"//{host}") for name, value in given.items()}
        remora = Remora(stack.folder.path, environment, processor, log="traced.log").start()
        for number, size in enumerate(writes):
            remora.post(frames.LargeBodies(size).body(frames.now_ms() - number))
            remora.get("/metrics")
            remora.get("/health")
        remora.stop()
        return set(RAN.findall(log.read_text(errors="replace")))


def pattern(name):
    """The sections of a function with this name, whatever its hash."""
    return COPY.sub(".*", DISAMBIGUATOR.sub("Cs*_", HASH.sub("17h*E", name)))


def print_functions(runs, listed):
    """The functions of each of these runs that are not in `listed`, which grows by them."""
    for what, each in runs:
        ran = set().union(*(traced(*run) for run in each))
        found = {pattern(name) for name in ran} - listed
        listed |= found
        print(f"    /* {what} */")
        for name in sorted(found):
            print(f"    *(.text*.{name})")


def main():
    """Prints the complete script."""
    listed = set()
    print(HEAD, end="")
    print_functions(RUNS, listed)
    print(CHOSEN, end="")
    print_functions(OTHER_RUNS, listed)
    print(TAIL, end="")


if __name__ == "__main__":
    main()

"""Prints the linker script that places functions that run together next to each other; scripts/layout calls it.

The kernel maps the sixteen pages around each one that a program touches. In the compiler's order of functions, nearly
all of a binary's code becomes resident; a sidecar runs half of it. What each write runs stands together within that:
spread over the rest, it would take twice as many pages, more than a processor remembers the places of.
"""

import http.client
import re
import subprocess

import frames
from remora import Remora
from stack import Stack
from web import exchange

RAN = re.compile(r"^IN: (\S+)$", re.MULTILINE)
# What differs with a compiler's version or a change elsewhere: the hash at the end of a name (Rust's old mangling), the
# crates' disambiguators (its new one), the number of a cloned function.
HASH = re.compile(r"17h[0-9a-f]{16}E")
DISAMBIGUATOR = re.compile(r"Cs[0-9A-Za-z]+_")
COPY = re.compile(r"\.[0-9]+$")
# Of callgrind's output: the line that gives a function's costs, and the one that gives a number a name.
COST = re.compile(r"^fn=(\(\d+\))", re.MULTILINE)
NAME = re.compile(r"^c?fn=(\(\d+\)) ([^'\n]+)", re.MULTILINE)

# A run is: the identity, the name of this machine, and the sizes of the writes in bytes.
START = ((None, "localhost", ()), (None, "127.0.0.1", ()))
WRITES = ((None, "localhost", (30_000, 200_000, 30_000)),)
OTHERS = tuple((identity, "localhost", ()) for identity in ("imds-system", "secret", "certificate"))

# The writes whose functions stand together, and those before them, after which memory is allocated and a connection
# open.
STEADY_BYTES = 30_000
STEADY, WARM = 20, 5

HEAD = """\
/* Written by scripts/layout; see there. Code that a sidecar runs stands together, so that the rest is never resident.
   Functions whose names are gone do no harm: what is not named here follows in the compiler's order. */
SECTIONS
{
  .text.ran :
  {
"""

# What each write runs in assembly, whose symbols have no length and whose sections are those of their file.
ASSEMBLY = """\
    *libc.a:memcpy.lo(.text .text.*)
    *libc.a:memmove.lo(.text .text.*)
    *libc.a:memset.lo(.text .text.*)
    *libc.a:*syscall*.lo(.text .text.*)
    *libring-*.rlib:*aes*(.text)
    *libring-*.rlib:*ghash*(.text)
"""

# What no run here decides: the processor and the server choose the cipher, the hash, the key exchange and the kind of
# certificate. ring's assembly has no section for each function; musl's sections have other names than its functions.
CHOSEN = """\
    /* The entry, musl, ring's ciphers, hashes and key exchange; then what is for certificates */
    *crt1.o(.text)
    *libc.a:*(.text .text.*)
    *(.text*._ZN4ring4aead*)
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


def patterns(runs):
    """The sections of what any of these runs ran."""
    return {pattern(name) for run in runs for name in traced(*run)}


def steady():
    """The names of the functions that run with each write of a sender that stays connected."""
    with Stack("steady", prometheus=False) as stack:
        out = stack.folder.path / "counts"
        processor = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--demangle=no")
        counted = (*processor, f"--callgrind-out-file={out}")
        remora = Remora(stack.folder.path, stack.emulator.remora_environment(), counted, log="counted.log").start()
        sender = http.client.HTTPConnection("127.0.0.1", remora.port, timeout=60)
        write(sender, WARM)
        control(remora, "--instr=on")
        write(sender, STEADY)
        control(remora, "--instr=off")
        sender.close()
        remora.stop()
        counts = out.read_text()
    names = dict(NAME.findall(counts))
    return {names[number] for number in COST.findall(counts) if number in names}


def write(sender, times):
    """Writes of the usual size on one connection."""
    fields = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    for _ in range(times):
        body = frames.LargeBodies(STEADY_BYTES).body(frames.now_ms())
        answer = exchange(sender, "POST", "/api/v1/write", body, fields)
        if answer.status != http.client.NO_CONTENT:
            raise RuntimeError(f"expected 204; saw {answer.status}")


def control(remora, option):
    """Has valgrind start or stop counting."""
    subprocess.run(["callgrind_control", option, str(remora.process.pid)], check=True, stdout=subprocess.DEVNULL)


def show(what, names):
    """Prints the sections under a heading."""
    print(f"    /* {what} */")
    for name in sorted(names):
        print(f"    *(.text*.{name})")


def main():
    """Prints the complete script. An idle sidecar's functions end with those that a write needs too, and the others
    that a write needs are before those, so that an idle one touches few pages that it does not need."""
    start = patterns(START)
    writes = patterns(WRITES) - start
    ran = steady()
    each = {pattern(name) for name in ran if name.startswith("_")}
    print(HEAD, end="")
    show("Writes, and pages", writes - each)
    show("Each write", each - start)
    show("Each write, and the start", each & start)
    for name in sorted(name for name in ran if not name.startswith(("_", "0x", "ring_"))):
        print(f"    *libc.a:{name}.lo(.text .text.*)")
    print(ASSEMBLY, end="")
    show("From the start to the first token", start - each)
    print(CHOSEN, end="")
    show("Other identities", patterns(OTHERS) - start - writes - each)
    print(TAIL, end="")


if __name__ == "__main__":
    main()

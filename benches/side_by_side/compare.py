"""Compares Remora with other proxies on this machine and writes the results; called by scripts/bench --proxies.

Needs the environment that scripts/bench sets: BENCH_BIN_DIR, EMULATOR_BIN, REMORA_BIN unless --remora names builds, and
NGINX_BIN and the like for programs that are not on PATH.
"""

import argparse
import platform
import re
import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/e2e"))

import correctness  # noqa: E402
import picture  # noqa: E402
import turns  # noqa: E402
from cells import AES_128, FULL, QUICK, SIZES  # noqa: E402
from contender import Remora  # noqa: E402
from ground import Ground, builds, contenders, wanted  # noqa: E402
from process import Failure, WorkFolder, stop_on_signals  # noqa: E402
from programs import version  # noqa: E402
from report import Results, comma_separated, markdown  # noqa: E402
from resting import rest  # noqa: E402
from verifying import Verifying  # noqa: E402

REST = "at rest"
BEGAN = time.monotonic()


def say(text):
    """Progress, on standard error, with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)


def main():
    """Entry point."""
    stop_on_signals()
    chosen = arguments()
    plan = QUICK if chosen.quick else FULL
    try:
        lines = listed(plan, contenders(builds(chosen.remora)), chosen.only)
    except Failure as failure:
        say(failure)
        return 64
    if not lines:
        say(f"no line contains {' and '.join(chosen.only)}; see --list")
        return 64
    if chosen.list:
        print(*lines, sep="\n")
        return 0
    work = WorkFolder("bench")
    try:
        ground = Ground(work.path, builds(chosen.remora))
        results = measure(ground, plan, chosen.only)
    except Failure as failure:
        work.keep()
        say(f"{failure}\nlogs: {work.path}")
        return 1
    write(results, ground, plan, chosen)
    return 0


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench --proxies")
    parser.add_argument("--quick", action="store_true", help="fewer cells and shorter turns")
    parser.add_argument("--remora", action="append", default=[], metavar="LABEL=PATH[,NAME=VALUE…]")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    parser.add_argument("--list", action="store_true", help="only list the lines that would be measured")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args()


def listed(plan, everybody, texts):
    """The lines `PART: CONTENDER` of a run."""
    cells = [(cell.name, [one for one in everybody if turns.fits(one, cell)]) for cell in plan.cells]
    others = [(part, everybody) for part in (*(pace.name for pace in plan.paces), REST)]
    return [f"{part}: {one.name}" for part, those in cells + others for one in wanted(part, those, texts)]


def measure(ground, plan, texts):
    """Everything selected, after a check that every participating contender works correctly."""
    parts = [*(cell.name for cell in plan.cells), *(pace.name for pace in plan.paces), REST]
    names = {one.name for part in parts for one in wanted(part, ground.contenders, texts)}
    check([one for one in ground.contenders if one.name in names], ground)
    saturated = {cell.name: saturate(ground, plan, cell, texts) for cell in plan.cells}
    paced = {pace.name: keep_pace(ground, plan, pace, texts) for pace in plan.paces}
    resting = wanted(REST, ground.contenders, texts)
    return Results(
        {name: rows for name, rows in saturated.items() if rows},
        {name: rows for name, rows in paced.items() if rows},
        rest(resting, ground, plan, say) if resting else [],
    )


def check(contenders, ground):
    """Checks that every body arrives unchanged, with one Authorization header."""
    verifying = Verifying(ground.folder, ground.roots)
    bodies = [ground.body(size) for size in SIZES]
    for contender in contenders:
        say(f"correctness: {contender.name}")
        # A contender that decodes everything takes long, and its bodies are not compared.
        sent = bodies if contender.bodies_survive else bodies[:3]
        correctness.check(contender, ground.folder, verifying, AES_128, sent)
    verifying.close()


def saturate(ground, plan, cell, texts):
    """A cell's rows."""
    contenders = [one for one in wanted(cell.name, ground.contenders, texts) if turns.fits(one, cell)]
    return driven(
        ground, cell, contenders, lambda running: turns.saturated(running, cell, ground.bodies[cell.bytes], plan)
    )


def keep_pace(ground, plan, pace, texts):
    """The rows of a fixed rate."""
    contenders = wanted(pace.name, ground.contenders, texts)
    body = ground.bodies[pace.bytes]
    return driven(
        ground, pace, contenders, lambda running: turns.paced(running, pace, body, plan, ground.sink.plain_port)
    )


def driven(ground, part, contenders, measured):
    """The result of `measured` for the contenders, freshly started for this part."""
    if not contenders:
        return []
    say(part.name)
    running = []
    try:
        for contender in contenders:
            running.append(contender.start(ground.folder, ground.sink.upstream(part.suite)))
        for one in running:
            one.wait_until_forwarding(ground.body(1_000))
        return measured(running)
    finally:
        for one in running:
            one.kill()


def write(results, ground, plan, chosen):
    """Writes the three kinds of files and prints the Markdown."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    for old in chosen.out.glob("proxies*"):
        old.unlink()
    own = {one.name for one in ground.contenders if isinstance(one, Remora)}
    pictures = {}
    for part, rows in [*results.saturated.items(), *results.paced.items()]:
        name = f"proxies-{re.sub('[^a-z0-9]+', '-', part.lower())}.svg"
        title = f"{part}: CPU per request, nginx = 1"
        drawn = picture.bars(title, [(row.name, row.cpu_ratio) for row in rows], own.__contains__)
        (chosen.out / name).write_text(drawn)
        pictures[part] = [f"![{title}]({name})\n"]
    text = markdown(results, facts(plan), [[one.name, one.about] for one in ground.contenders], pictures)
    (chosen.out / "proxies.md").write_text(text)
    (chosen.out / "proxies.csv").write_text(comma_separated(results))
    print(text)
    say(f"written: {chosen.out}/proxies.md, proxies.csv and {len(pictures)} pictures")


def facts(plan):
    """(name, value) pairs about the machine and the run."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("nginx", "haproxy", "caddy", "vmagent", "wrk"))
    return [
        ("machine", f"{processor()}, {platform.machine()}, Linux {platform.release()}"),
        ("versions", versions),
        ("command", f"`scripts/bench --proxies {command_line()}`".replace(" `", "`")),
        ("turns", f"{plan.turns} of {plan.seconds} s in random order, fewer and longer ones for much data"),
        ("ratios", "medians of the ratios within a turn"),
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
    ]


def command_line():
    """The arguments of scripts/bench, except the output folder."""
    words = sys.argv[1:]
    at = words.index("--out")
    return shlex.join(words[:at] + words[at + 2 :])


def processor():
    """The processor's name and count."""
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^(?:model name|CPU part)\s*: (.*)$", text, re.MULTILINE)
    return f"{found[1] if found else 'processor'} x {len(re.findall('^processor', text, re.MULTILINE))}"


if __name__ == "__main__":
    sys.exit(main())

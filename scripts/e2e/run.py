"""Runs unittest modules with one line for each test; a failing test's message follows its line.

Lines begin with `ok` or `FAIL`, which scripts/test counts. A test's own output precedes its line.
"""

import argparse
import contextlib
import io
import sys
import time
import traceback
import unittest
from pathlib import Path

import lanes
from case import LONG
from process import Failure, stop_on_signals


class Lines(unittest.TestResult):
    """Prints each test's outcome as it ends; with lanes, a test's output is held back until then so that it is not
    mixed."""

    def __init__(self, chosen):
        super().__init__()
        self._chosen = chosen
        self._prefix = chosen.prefix
        self._holds_back = chosen.lane is not None
        self._began = 0.0
        self._fault = ""
        self._said = io.StringIO()
        self._held_back = contextlib.ExitStack()

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        self._fault = ""
        lanes.begin(self._chosen, sentence(test))
        if self._holds_back:
            self._held_back.enter_context(contextlib.redirect_stdout(self._said))
            self._held_back.enter_context(contextlib.redirect_stderr(self._said))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._blame(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._blame(test, err)
        if not isinstance(test, unittest.TestCase):
            self._print(str(test), 0)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fault += f"{subtest.params}: "
            self._blame(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._fault += f"skipped, which no test here may be: {reason}"

    def stopTest(self, test):
        super().stopTest(test)
        self._held_back.close()
        self._print(sentence(test), time.monotonic() - self._began)

    def _blame(self, test, err):
        if issubclass(err[0], SystemExit):
            # A signal ends this program, not only the test.
            raise err[1]
        self._fault += told(err)
        folder = getattr(test, "folder", None)
        if folder is not None:
            folder.keep()
            self._fault += f"logs: {folder.path}\n"

    def _print(self, name, seconds):
        outcome = f"{'FAIL' if self._fault else 'ok  '} {self._prefix}{name} ({seconds:.0f} s)\n"
        fault = "".join(f"       {line}\n" for line in self._fault.splitlines())
        said, self._said = self._said.getvalue(), io.StringIO()
        with lanes.alone():
            print(f"{said}{outcome}{fault}", end="", flush=True)


def sentence(test):
    """test_shutdown.…test_a_thing_happens -> shutdown: a thing happens."""
    words = test.id().rsplit(".", 1)[-1].removeprefix("test_").replace("_", " ")
    return f"{type(test).__module__.removeprefix('test_')}: {words}"


def told(err):
    """What went wrong: the test's own message and line, or the complete traceback of an unexpected error."""
    kind, error, trace = err
    if not issubclass(kind, (AssertionError, Failure)):
        return "".join(traceback.format_exception(kind, error, trace))
    lines = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).name.startswith("test_")]
    places = "".join(f"\n  {Path(frame.filename).name}:{frame.lineno}: {frame.line}" for frame in lines)
    return f"{error}{places}\n"


def tests_in(suite):
    """The individual tests of a nested suite."""
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from tests_in(part)
        else:
            yield part


def is_marked(test, mark):
    """Whether a test or its class has this mark."""
    method = getattr(test, getattr(test, "_testMethodName", ""), None)
    return getattr(test, mark, False) or getattr(method, mark, False)


def is_left_out(test, quick):
    """Whether a test belongs to a longer form than this run's."""
    return (quick and is_marked(test, "slow")) or (not LONG and is_marked(test, "long"))


def lane_of(test):
    """The kind of lane for a test."""
    return next((kind for kind in (lanes.ALONE, lanes.BESIDE) if is_marked(test, kind)), lanes.ORDINARY)


def shares(kind):
    """Whether the tests of a class share something that is set up or torn down once."""
    plain = unittest.TestCase
    return any(getattr(kind, name).__func__ is not getattr(plain, name).__func__ for name in ("setUpClass", "tearDownClass"))


def units(tests):
    """(kind of lane, suite) for each unit that one lane runs as a whole: a test, or the tests of a class with shared
    state."""
    found = {}
    for test in tests:
        found.setdefault((lane_of(test), type(test) if shares(type(test)) else test), []).append(test)
    return [(kind, unittest.TestSuite(together)) for (kind, _), together in found.items()]


def main():
    """Entry point; scripts/test is the usual caller."""
    stop_on_signals()
    parser = argparse.ArgumentParser(description="Runs end-to-end tests on REMORA_BIN and EMULATOR_BIN.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--prefix", default="e2e ")
    parser.add_argument("--quick", action="store_true", help="skip the slow ones")
    parser.add_argument("--only", default="", metavar="TEXT", help="only tests whose line would contain TEXT")
    parser.add_argument("--list", action="store_true", help="print the names of the tests instead of running them")
    lanes.add_arguments(parser)
    chosen = parser.parse_args()
    found = unittest.TestLoader().discover(str(chosen.folder), pattern="test_*.py")
    names = {test: f"{chosen.prefix}{sentence(test)}" for test in tests_in(found)}
    wanted = [test for test, name in names.items() if chosen.only in name and not is_left_out(test, chosen.quick)]
    if chosen.list:
        print("\n".join(names[test] for test in wanted))
        return 0
    parts = lanes.in_part(chosen.part, units(wanted))
    if chosen.beside and chosen.lane is None and len(parts) > 1:
        return lanes.run_all(chosen.beside, {kind for kind, _ in parts})
    result = Lines(chosen)
    for suite in lanes.mine(chosen, parts):
        suite.run(result)
        # Otherwise a second suite with tests of this class would use what its first has torn down.
        result._previousTestClass = None
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

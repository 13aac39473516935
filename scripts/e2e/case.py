"""Shared by the end-to-end tests: marks, durations, and assertions that report what was expected and seen."""

import os
import threading
import unittest

from process import Failure

LONG = os.environ.get("REMORA_E2E_LONG") == "1"


def slow(test):
    """Marks a test, or a class of them, that `scripts/test --quick` leaves out."""
    test.slow = True
    return test


def long(test):
    """Marks a test that only runs in the long form."""
    test.long = True
    return test


def beside(test):
    """Marks a test, or a class of them, that mostly waits and measures nothing: others may run at the same time."""
    test.beside = True
    return test


def alone(test):
    """Marks a test, or a class of them, with a limit of about a second: nothing may run at the same time."""
    test.alone = True
    return test


def seconds(short, long):
    """The duration of a test's main part in this run."""
    return long if LONG else short


class Case(unittest.TestCase):
    """A test with the project's assertions."""

    longMessage = True

    def assert_answer(self, answer, status, text=""):
        """The response has this status, and a body that contains `text`."""
        if answer.status != status or text.lower() not in answer.text.lower():
            about = f" and a body with {text!r}" if text else ""
            raise Failure(f"expected status {status}{about}; saw {answer.status} with {answer.text!r}")

    def assert_nothing_missing(self, stack, at_least=1):
        """Every sample that Prometheus holds is stored, bit for bit, none came after a newer one of its series, and there
        are enough of them."""
        equal, numbers, differences = stack.compare()
        if not equal or numbers["sent"] < at_least:
            raise Failure(
                f"expected at least {at_least} samples, none missing, different or out of order; saw {numbers}\n{differences}\n"
                f"{stack.remora.process.tail()}"
            )
        return numbers


class Background(threading.Thread):
    """A call in the background of the test; `result()` returns its value or raises its error."""

    def __init__(self, call, *arguments):
        super().__init__(daemon=True)
        self._call = call
        self._arguments = arguments
        self._value = None
        self._error = None
        self.start()

    def run(self):
        try:
            self._value = self._call(*self._arguments)
        except Exception as error:  # raised again in `result()`
            self._error = error

    def result(self, seconds_left=60):
        """The value of the call."""
        self.join(seconds_left)
        if self.is_alive():
            raise Failure(f"expected {self._call.__name__} to be answered within {seconds_left} s; it is still waiting")
        if self._error is not None:
            raise self._error
        return self._value

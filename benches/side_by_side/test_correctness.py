"""The check before the measurement finds the faults that it is meant to find."""

import unittest

from contender import Contender
from correctness import FOREIGN, wrong
from verifying import Arrived

OWN = ("Bearer own",)


class Correctness(unittest.TestCase):
    """Compares what was sent with what arrived."""

    def assert_wrong(self, arrived, expected, sent=(b"a", b"b")):
        self.assertRegex(wrong(Contender(), list(sent), arrived), expected)

    def test_what_arrives_as_it_should(self):
        self.assertIsNone(wrong(Contender(), [b"a", b"b"], [Arrived(b"b", OWN), Arrived(b"a", OWN)]))

    def test_a_body_that_differs(self):
        self.assert_wrong([Arrived(b"a", OWN), Arrived(b"B", OWN)], "2 bodies bit for bit; 2 arrived, 1 of those sent")

    def test_a_body_that_is_missing_or_comes_twice(self):
        self.assert_wrong([Arrived(b"a", OWN)], "1 arrived")
        self.assert_wrong([Arrived(body, OWN) for body in (b"a", b"b", b"b")], "3 arrived")

    def test_an_authorization_too_many_or_too_few_or_the_senders(self):
        for fields in ((), OWN * 2, (FOREIGN,)):
            self.assert_wrong([Arrived(b"a", fields)], "one Authorization", sent=[b"a"])

    def test_one_that_sends_other_bodies_must_send_some(self):
        contender = Contender()
        contender.bodies_survive = False
        self.assertIsNone(wrong(contender, [b"a"], [Arrived(b"other", OWN)]))
        self.assertEqual(wrong(contender, [b"a"], []), "nothing arrived")

"""The statistics of interleaved turns."""

import unittest

from accounting import woken
from cells import FULL, Cell
from figures import figure, median, median_of, median_ratio, percentile, size


class Figures(unittest.TestCase):
    """Medians, ratios within turns, and the formatting of numbers."""

    def test_a_ratio_is_taken_within_its_turn(self):
        # The second turn was disturbed for both: its ratio is still 2.
        turns = [{"nginx": 10, "other": 20}, {"nginx": 100, "other": 200}, {"nginx": 12, "other": 24}]
        self.assertEqual(median_ratio(turns, "other", lambda turn: turn), 2)
        self.assertEqual(median_of(turns, "other", lambda turn: turn), 24)

    def test_what_was_not_measured_has_no_ratio(self):
        turns = [{"nginx": 10, "other": None}, {"nginx": 0, "other": 3}, {"other": 3}]
        self.assertIsNone(median_ratio(turns, "other", lambda turn: turn))
        self.assertIsNone(median([]))

    def test_a_turn_without_a_number_is_left_out(self):
        turns = [{"nginx": 10, "other": None}, {"nginx": 10, "other": 5}]
        self.assertEqual(median_ratio(turns, "other", lambda turn: turn), 0.5)

    def test_percentiles_by_the_nearest_rank(self):
        self.assertEqual(percentile(range(1, 201), 99), 198)
        self.assertEqual(percentile([7], 99), 7)
        self.assertEqual(percentile([3, 1, 2], 50), 2)
        self.assertIsNone(percentile([], 99))

    def test_a_thread_that_has_ended_takes_no_wakeup_away(self):
        self.assertEqual(woken({"1": 5, "2": 9}, {"1": 6, "3": 2}), 3)

    def test_longer_turns_are_fewer(self):
        short, long = Cell(30_000, 8), Cell(4_000_000, 8)
        self.assertEqual((short.stretch, long.stretch), (1, 8))
        self.assertEqual((FULL.turns_of(short), FULL.turns_of(long)), (15, 8))

    def test_numbers_as_they_are_printed(self):
        self.assertEqual([size(1_000), size(30_000), size(4_000_000)], ["1 KB", "30 KB", "4 MB"])
        self.assertEqual([figure(1234.56), figure(0.444, 2), figure(None)], ["1,235", "0.44", ""])

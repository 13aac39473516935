"""Tables, CSV lines and charts of given results."""

import csv
import unittest
import xml.etree.ElementTree as ElementTree

from picture import bars
from report import Results, comma_separated, markdown, table
from resting import Rest
from turns import PacedRow, Row

RESULTS = Results(
    {"30 KB": [Row("remora", 20.04, 0.5, 1.2, 5000.0, 800.0, 0), Row("nginx", 40.0, 1.0, None, 4000.0, 900.0, 3)]},
    {"30 KB, 50 requests/s": [PacedRow("remora", 100.0, 0.7, 1.3, 150.0, 0.8, 400.0, 900.0)]},
    [Rest("vmagent", 15 << 20, 30 << 20, 60.0, 61.0, None, None, 8.25, 9.0, 12.0)],
)


class Report(unittest.TestCase):
    """Every number is in its place, and a missing one leaves its place empty."""

    def test_a_table(self):
        self.assertEqual(table(["a", "b"], [["x", "1"]]), "| a | b |\n| --- | ---: |\n| x | 1 |\n")

    def test_the_report_has_every_part(self):
        text = markdown(RESULTS, [("date", "today")], [["remora", "ours"]], {"30 KB": ["![x](x.svg)\n"]})
        self.assertIn("- date: today\n", text)
        self.assertIn("| remora | ours |\n", text)
        self.assertIn("## 30 KB\n\n![x](x.svg)\n", text)
        self.assertIn("| remora | 20.0 | 0.50 | 1.20 | 5,000 | 800 |  |\n", text)
        self.assertIn("| nginx | 40.0 | 1.00 |  | 4,000 | 900 | 3 |\n", text)
        self.assertIn("| remora | 100.0 | 0.70 | 1.30 | 150 | 0.80 | 400 | 900 |\n", text)
        self.assertIn("| vmagent | 15.0 | 30.0 |  |  | 60 | 61 | 8.2 | 9.0 | 12.0 |\n", text)

    def test_one_line_for_each_number(self):
        lines = list(csv.reader(comma_separated(RESULTS).splitlines()))
        self.assertEqual(lines[0], ["part", "contender", "measure", "value"])
        self.assertIn(["30 KB", "nginx", "refused", "3"], lines)
        self.assertIn(["30 KB, 50 requests/s", "remora", "added_us", "150"], lines)
        self.assertIn(["at rest", "vmagent", "peak", ""], lines)

    def test_bars_are_ranked_and_ours_stand_out(self):
        drawn = ElementTree.fromstring(bars("a < b", [("nginx", 1.0), ("ours", 0.5), ("none", None)], "ours".__eq__))
        space = "{http://www.w3.org/2000/svg}"
        found = [(bar.get("class"), float(bar.get("width"))) for bar in drawn.iter(f"{space}rect")]
        self.assertEqual([kind for kind, _width in found], ["own", "bar"])
        self.assertEqual(found[0][1] * 2, found[1][1])

"""The tools' output is parsed correctly, and output that cannot be parsed is a failure."""

import unittest

import load
import system_calls
from cells import FULL, QUICK
from compare import listed
from ground import build, contenders, wanted
from process import Failure
from proxies import Caddy, Nginx

WRK = """\
Running 2s test @ http://127.0.0.1:1/api/v1/write
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.36ms    0.90ms  20.00ms   90.00%
  Latency Distribution
     50%    1.50s 
     75%    1.60ms
  10020 requests in 2.00s, 0.95MB read
{more}Requests/sec:   5010.00
"""

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 55.00    0.001100           2       500        20 recvfrom
 45.00    0.000900           1       250           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.002000           2       750        20 total
"""


class Parsers(unittest.TestCase):
    """wrk, strace, and the words of the command line."""

    def test_what_wrk_counted(self):
        self.assertEqual(load.read(WRK.format(more="")), load.Load(10_020, 0, 5010.0, 1_500_000.0))

    def test_what_was_refused_does_not_count(self):
        seen = load.read(WRK.format(more="  Non-2xx or 3xx responses: 20\n"))
        self.assertEqual(seen, load.Load(10_000, 20, 5000.0, 1_500_000.0))

    def test_a_run_without_figures_is_a_failure(self):
        with self.assertRaisesRegex(Failure, "unable to connect"):
            load.read("unable to connect to 127.0.0.1:1")

    def test_calls_are_added_up_without_the_sum(self):
        self.assertEqual(system_calls.count(STRACE), 750)
        with self.assertRaises(Failure):
            system_calls.count("")

    def test_a_build_with_settings(self):
        self.assertEqual(build("new=/a/b,CHECK=off,X=a=b"), ("new", "/a/b", {"CHECK": "off", "X": "a=b"}))
        for word in ("/a/b", "new=", "=/a/b", "new=/a/b,CHECK"):
            with self.assertRaises(Failure):
                build(word)

    def test_only_keeps_the_yardstick_beside_what_it_names(self):
        both = [Nginx(), Caddy()]
        self.assertEqual(wanted("30 KB", both, ["30 KB", "caddy"]), both)
        self.assertEqual(wanted("30 KB", both, ["nginx"]), both[:1])
        self.assertEqual(wanted("30 KB", both, ["1 MB"]), [])

    def test_what_would_be_measured_is_told_before_anything_is_built(self):
        named = contenders([build("new=/nowhere,CHECK=off")])
        cell = "1 MB, 8 connections, AES-128"
        self.assertEqual(listed(FULL, named, ["1 MB", "new"]), [f"{cell}: new", f"{cell}: nginx"])
        self.assertEqual(listed(QUICK, named, ["rest: new"]), ["at rest: new", "at rest: nginx"])
        self.assertEqual(listed(QUICK, named, ["1 MB"]), [])
        # vmagent does not take part where it would swap.
        self.assertEqual(listed(FULL, named, ["64 connections", "4 MB", "vmagent"]), [])

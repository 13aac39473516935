"""SIGTERM and SIGHUP: open requests are finished, and a second signal ends the process at once."""

import signal
import socket
import time
import unittest
from contextlib import contextmanager

import frames
import wire
from case import Background, Case, alone, slow
from process import wait_for
from prometheus import Prometheus
from promtool import promtool
from remora import Remora
from stack import Stack
from web import fetch

DELAY_MS = 3000
# Seconds for which Prometheus by default holds samples back to fill a batch (batch_send_deadline).
BATCH = 5


def delay(milliseconds):
    """A fault that makes the emulator's ingestion slow."""
    return {"endpoint": "ingest", "action": {"delay_ms": milliseconds}}


@alone
class Shutdown(Case):
    """Each test has one write in progress when the signal arrives."""

    def with_an_open_request(self, stack, milliseconds):
        """Posts a body that the emulator answers late, and returns once the emulator has received it."""
        stack.emulator.ask("/faults", delay(milliseconds))
        request = Background(stack.remora.post, frames.one_sample())
        wait_for("the write to reach the emulator", lambda: delayed(stack.emulator) > 0, 10)
        return request

    def test_an_open_request_is_finished_and_new_ones_are_sent_elsewhere(self):
        with Stack("drain", prometheus=False) as stack:
            request = self.with_an_open_request(stack, DELAY_MS)
            probe = stack.remora.url + "/ready"
            stack.remora.process.signal(signal.SIGTERM)
            wait_for("/ready to turn 503", lambda: fetch(probe).status == 503, 2)
            answer = request.result()
            self.assertEqual(answer.status // 100, 2, f"the open request: {answer}; {stack.where()}")
            self.assertEqual(stack.remora.process.wait(5), 0, f"exit status; {stack.where()}")
            self.assertEqual(stack.stored(), 1, f"samples stored; {stack.where()}")

    def test_a_sender_that_was_silent_may_write_what_it_still_holds(self):
        with Stack("last-batch", prometheus=False) as stack:
            sender = socket.create_connection(("127.0.0.1", stack.remora.port), timeout=10)
            with sender as connection, connection.makefile("rb") as answers:
                connection.sendall(wire.with_length(frames.one_sample()))
                self.assertEqual(wire.read_answer(answers), 204, stack.where())
                time.sleep(BATCH)
                stack.remora.process.signal(signal.SIGTERM)
                time.sleep(BATCH - 1)
                connection.sendall(wire.with_length(frames.one_sample(name="last")))
                self.assertEqual(wire.read_answer(answers), 204, stack.where())
            self.assertEqual(stack.remora.process.wait(2), 0, f"exit status; {stack.where()}")
            self.assertEqual(stack.stored(), 2, f"samples stored; {stack.where()}")

    @slow
    def test_a_sender_that_was_told_to_come_back_later_finds_it_running(self):
        later = 8
        refusal = {"status": 429, "headers": {"Retry-After": str(later)}}
        with Stack("told-to-wait", prometheus=False) as stack:
            stack.emulator.ask("/faults", {"endpoint": "ingest", "count": 1, "action": refusal})
            sender = socket.create_connection(("127.0.0.1", stack.remora.port), timeout=10)
            with sender as connection, connection.makefile("rb") as answers:
                connection.sendall(wire.with_length(frames.one_sample()))
                self.assertEqual(wire.read_answer(answers), 503, stack.where())
                stack.remora.process.signal(signal.SIGTERM)
                time.sleep(later)
                connection.sendall(wire.with_length(frames.one_sample()))
                self.assertEqual(wire.read_answer(answers), 204, stack.where())
            self.assertEqual(stack.remora.process.wait(8), 0, f"exit status; {stack.where()}")

    @slow
    def test_a_prometheus_that_is_stopped_at_the_same_time_loses_nothing(self):
        with Stack("together", prometheus=False) as stack:
            with self.running(Prometheus(stack.folder.path, stack.remora.write_url, interval="2s", deadline="5s")) as sender:
                sender.scrape([stack.emulator.address])
                wait_for("the first samples to be stored", lambda: stack.stored() > 0, 40, 0.1)
                first = stack.stored()
                wait_for("another batch", lambda: stack.stored() > first, 20, 0.01)
                # Scraped again meanwhile, but not yet sent.
                time.sleep(2.5)
                for part in (sender, stack.remora):
                    part.process.signal(signal.SIGTERM)
                self.assertEqual(sender.process.wait(20), 0, stack.where())
                self.assertEqual(stack.remora.process.wait(2), 0, stack.where())
            samples = promtool("tsdb", "dump", str(stack.folder.path / "tsdb")).count("\n{") + 1
            self.assertEqual(stack.stored(), samples, f"samples stored, of those in Prometheus; {stack.where()}")

    def test_a_hangup_asks_for_the_same(self):
        with Stack("hangup", prometheus=False) as stack:
            request = self.with_an_open_request(stack, DELAY_MS)
            stack.remora.process.signal(signal.SIGHUP)
            answer = request.result()
            self.assertEqual(answer.status // 100, 2, f"the open request: {answer}; {stack.where()}")
            self.assertEqual(stack.remora.process.wait(5), 0, f"exit status; {stack.where()}")

    def test_a_hangup_passes_by_what_was_started_with_nohup(self):
        with Stack("nohup", prometheus=False) as stack:
            stack.remora.stop()
            env = stack.emulator.remora_environment()
            with self.running(Remora(stack.folder.path, env, ("nohup",), log="nohup.log")) as remora:
                remora.process.signal(signal.SIGHUP)
                self.assertEqual(remora.post(frames.one_sample()).status // 100, 2, stack.where())
                self.assertEqual(remora.stop(), 0)

    @contextmanager
    def running(self, program):
        """Starts a program, and kills it whatever happens."""
        try:
            yield program.start()
        finally:
            program.process.kill()

    def test_a_second_signal_ends_it_at_once(self):
        with Stack("second-signal", prometheus=False) as stack:
            self.with_an_open_request(stack, 20_000)
            stack.remora.process.signal(signal.SIGTERM)
            wait_for("/ready to turn 503", lambda: fetch(stack.remora.url + "/ready").status == 503, 2)
            stack.remora.process.signal(signal.SIGTERM)
            ended = stack.remora.process.wait(2, "to end at once after the second SIGTERM")
            self.assertEqual(ended, 128 + signal.SIGTERM)


def delayed(emulator):
    """Number of requests that the fault has affected so far."""
    return sum(rule["hits"] for rule in emulator.ask("/faults", method="GET").json())


if __name__ == "__main__":
    unittest.main()

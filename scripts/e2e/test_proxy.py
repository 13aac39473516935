"""Entra and the ingestion endpoint through a forward proxy."""

import unittest
from urllib.parse import urlsplit

import frames
from case import Case
from connect_proxy import ConnectProxy
from stack import Stack


class Elsewhere(Stack):
    """A stack whose Remora does not know that the emulator is on loopback."""

    def make_remora(self):
        self._environment = {**self.emulator.elsewhere(), **self._environment}
        return super().make_remora()


class Proxy(Case):
    """HTTPS_PROXY and NO_PROXY, from the environment and by flag."""

    def setUp(self):
        self.proxy = ConnectProxy()
        self.addCleanup(self.proxy.close)

    def post_with(self, environment, flags=(), kind=Elsewhere):
        """Posts one sample through a Remora with a token; returns the answer and the destinations expected at the
        proxy."""
        with kind("proxy", environment=environment, prometheus=False, remora_flags=flags) as stack:
            places = [urlsplit(url) for url in stack.emulator.elsewhere().values()]
            return stack.remora.post(frames.one_sample()), [f"{place.hostname}:{place.port}" for place in places]

    def assert_went_through(self, answer, places, login=""):
        """Both requests used the proxy: the token's, then the sample's."""
        self.assertEqual(answer.status // 100, 2, answer)
        self.assertEqual(self.proxy.asked, [("CONNECT", place, login) for place in places])

    def test_the_environment_names_proxy_and_login(self):
        self.assert_went_through(*self.post_with({"HTTPS_PROXY": self.proxy.url("remora:p%40ss")}), "remora:p@ss")

    def test_the_flag_names_the_proxy(self):
        self.assert_went_through(*self.post_with({}, ("--https-proxy", self.proxy.url())))

    def test_no_proxy_goes_past_it(self):
        direct = {"NO_PROXY": "example.org, invalid", "INGESTION_URL": "https://azure.invalid/x?api-version=1"}
        answer, places = self.post_with({"HTTPS_PROXY": self.proxy.url(), **direct})
        self.assert_answer(answer, 503, "azure.invalid")
        self.assertEqual(self.proxy.asked, [("CONNECT", places[0], "")], "only the token's")

    def test_loopback_is_reached_directly(self):
        answer, _ = self.post_with({"HTTPS_PROXY": self.proxy.url()}, kind=Stack)
        self.assert_went_through(answer, [])

    def test_a_proxy_that_wants_a_login_is_named_to_the_sender(self):
        self.proxy.refuse_after(1, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        answer, _ = self.post_with({"HTTPS_PROXY": self.proxy.url()})
        self.assert_answer(answer, 503, "the proxy requires a login; put it in HTTPS_PROXY")

    def test_a_proxy_that_hangs_up_is_named_to_the_sender(self):
        self.proxy.refuse_after(1, b"")
        answer, _ = self.post_with({"HTTPS_PROXY": self.proxy.url()})
        self.assert_answer(answer, 503, "the proxy closed the connection before it answered CONNECT")
        self.assertIn(f"the proxy 127.0.0.1:{self.proxy.port}, on the way to azure.test:", answer.text)


if __name__ == "__main__":
    unittest.main()

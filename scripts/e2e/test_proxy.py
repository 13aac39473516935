"""The token exchange by way of a forward proxy."""

import unittest
from urllib.parse import urlsplit

from case import Case
from connect_proxy import ConnectProxy
from stack import Stack


class TokenProxy(Case):
    """HTTPS_PROXY and NO_PROXY, from the environment and by flag."""

    def setUp(self):
        self.proxy = ConnectProxy()
        self.addCleanup(self.proxy.close)

    def tokens_with(self, environment, flags=()):
        """Starts Remora until it has a token; gives what the proxy was asked for, and for what it should have been."""
        with Stack("proxy", environment=environment, prometheus=False, remora_flags=flags) as stack:
            authority = urlsplit(stack.emulator.remora_environment()["AZURE_AUTHORITY_HOST"])
            return self.proxy.asked, f"{authority.hostname}:{authority.port}"

    def test_the_environment_names_proxy_and_login(self):
        asked, authority = self.tokens_with({"HTTPS_PROXY": self.proxy.url("remora:p%40ss")})
        self.assertEqual(asked, [("CONNECT", authority, "remora:p@ss")])

    def test_the_flag_names_the_proxy(self):
        asked, authority = self.tokens_with({}, ("--https-proxy", self.proxy.url()))
        self.assertEqual(asked, [("CONNECT", authority, "")])

    def test_no_proxy_goes_past_it(self):
        asked, _ = self.tokens_with({"HTTPS_PROXY": self.proxy.url(), "NO_PROXY": "example.org, localhost"})
        self.assertEqual(asked, [])


if __name__ == "__main__":
    unittest.main()

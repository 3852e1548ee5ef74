"""WHIP as far as a publisher needs it (RFC 9725): an offer out, an answer in, the session's end by DELETE."""

import urllib.parse
import urllib.request


class Session:
    """One published session. `open` blocks; call it off the media loop."""

    def __init__(self, endpoint, token):
        self._endpoint = endpoint
        self._headers = {"Authorization": f"Bearer {token}"}
        self._location = None

    def open(self, offer):
        """The server's answer to `offer`, both SDP."""
        headers = {**self._headers, "Content-Type": "application/sdp"}
        request = urllib.request.Request(self._endpoint, offer.encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            self._location = urllib.parse.urljoin(self._endpoint, response.headers["Location"])
            return response.read().decode()

    def close(self):
        request = urllib.request.Request(self._location, headers=self._headers, method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()

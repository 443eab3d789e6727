"""S1: `octorest` over both of its transports. Arguments: base URL, API key."""

import queue
import sys

import requests
from octorest import OctoRest, WebSocketEventHandler, XHRStreamingEventHandler

SECONDS = 20


def listens(handler_type, base: str, key: str, **options) -> None:
    messages = queue.Queue()
    handler = handler_type(base, on_message=lambda _, message: messages.put(message), **options)
    handler.run()

    def expect(event: str) -> dict:
        message = messages.get(timeout=SECONDS)
        assert list(message) == [event], message
        return message[event]

    assert expect("connected")["version"]
    # It forgets to wrap what it sends.
    handler.send({"auth": f"alice:{key}"})
    notice = expect("notice")
    assert '["{' in notice["notice"], notice
    assert expect("authenticated")["user"] == {"id": "alice", "name": "Alice"}
    expect("history")


def main(base: str, key: str) -> None:
    try:
        OctoRest(url=base, apikey="usk_" + "A" * 43)
    except RuntimeError as error:
        assert "403" in str(error), error
    else:
        raise AssertionError("a wrong key was taken")
    client = OctoRest(url=base, apikey=key)
    assert client._version_tuple(client.version["server"]) >= (1, 3, 7), client.version
    listens(WebSocketEventHandler, base, key)
    listens(XHRStreamingEventHandler, base, key)
    print("ok")


main(*sys.argv[1:])

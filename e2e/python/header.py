"""S8: Python's `websockets` with a token in a header. Arguments: URL, token, another user's token."""

import asyncio
import json
import sys

import websockets


async def main(url: str, alice_token: str, bob_token: str) -> None:
    alice_headers = {"Authorization": f"Bearer {alice_token}"}
    async with websockets.connect(url, additional_headers=alice_headers, subprotocols=["usher.v1"]) as alice:
        assert alice.subprotocol == "usher.v1", alice.subprotocol
        authenticated = json.loads(await alice.recv())
        assert authenticated["type"] == "authenticated", authenticated
        assert authenticated["user"] == {"id": "user-alice", "name": "Alice"}, authenticated
        assert authenticated["carrier"] == "header", authenticated
        await alice.send(json.dumps({"type": "join", "room": "board-1"}))
        assert json.loads(await alice.recv())["type"] == "joined"

        async with websockets.connect(url, additional_headers={"Authorization": f"Bearer {bob_token}"}) as bob:
            assert json.loads(await bob.recv())["type"] == "authenticated"
            await bob.send(json.dumps({"type": "join", "room": "board-1"}))
            assert json.loads(await bob.recv())["viewers"] == 2
            joined = json.loads(await alice.recv())
            assert joined["type"] == "user_joined" and joined["user"]["id"] == "user-bob", joined
            await bob.send(json.dumps({"type": "publish", "room": "board-1", "data": {"text": "hé"}}))
            message = json.loads(await alice.recv())
            assert message["data"] == {"text": "hé"}, message
            # The library's own heartbeat.
            await (await bob.ping())
        left = json.loads(await alice.recv())
        assert left["type"] == "user_left", left

    try:
        await websockets.connect(url, additional_headers={"Authorization": "Bearer a.b.c"})
    except websockets.exceptions.InvalidStatus as refused:
        assert refused.response.status_code == 401, refused
        problem = json.loads(refused.response.body)
        assert problem["code"] == "invalid_token", problem
        assert refused.response.headers["WWW-Authenticate"].startswith("Bearer"), refused.response.headers
    else:
        raise AssertionError("a bad token got in")

    # Without any credential the socket waits; the wrong first message ends it with a code and a reason.
    async with websockets.connect(url) as nobody:
        await nobody.send("hello")
        frames = []
        try:
            while True:
                frames.append(json.loads(await nobody.recv()))
        except websockets.exceptions.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "Unauthorized"), closed
        assert [frame["type"] for frame in frames] == ["error", "bye"], frames
    print("ok")


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 30))

"""A SockJS client in Python, wrapping by hand: `pip install websockets`, then
`python client.py ws://127.0.0.1:8080/sockjs alice:KEY`."""

import asyncio
import json
import secrets
import sys

from websockets.asyncio.client import connect


async def main(address: str, user_and_key: str) -> None:
    # /{server}/{session}/websocket: any three digits, and a session id that nobody else has.
    async with connect(f"{address}/000/{secrets.token_urlsafe(12)}/websocket") as socket:

        async def send(message: dict) -> None:
            # The array of strings, each of which is JSON itself: this is what people forget.
            await socket.send(json.dumps([json.dumps(message)]))

        async for frame in socket:
            kind, content = frame[0], frame[1:]
            if kind == "o":
                await send({"auth": user_and_key})
            elif kind == "c":
                code, reason = json.loads(content)
                print(f"closed {code} {reason}")
            elif kind == "a":
                for item in json.loads(content):
                    # An endpoint with `octoprint.enabled` sends objects, any other one sends texts.
                    message = json.loads(item) if isinstance(item, str) else item
                    if message.get("type") == "authenticated" or "authenticated" in message:
                        await send({"type": "join", "room": "board-1"})
                    elif message.get("type") == "joined":
                        print(f"in {message['room']} with {message['viewers']}")
                        return
                    elif message.get("type") == "error" or "error" in message:
                        print("refused:", message["error"])


asyncio.run(main(*sys.argv[1:]))

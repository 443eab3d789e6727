"""FastAPI on uvicorn, tokens with PyJWT: the token is verified before the socket is accepted, rooms are sets."""

import json
import sys
from collections import defaultdict

import jwt
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

PORT, SECRET, ISSUER, AUDIENCE = sys.argv[1:5]

app = FastAPI()
# As starlette's send_json writes it.
dumps = json.JSONEncoder(separators=(",", ":")).encode
rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


@app.websocket("/ws")
async def door(socket: WebSocket) -> None:
    token = socket.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    except jwt.PyJWTError:
        await socket.close()
        return
    await socket.accept()
    user = {"id": claims["sub"], "name": claims.get("name")}
    await socket.send_text(dumps({"type": "authenticated", "user": user}))
    joined: set[str] = set()
    try:
        while True:
            message = json.loads(await socket.receive_text())
            match message["type"]:
                case "ping":
                    await socket.send_text('{"type":"pong"}')
                case "join":
                    name = message["room"]
                    rooms[name].add(socket)
                    joined.add(name)
                    await socket.send_text(dumps({"type": "joined", "room": name, "viewers": len(rooms[name])}))
                case "publish":
                    frame = dumps(
                        {"type": "message", "room": message["room"], "user": user, "data": message["data"]}
                    )
                    for member in list(rooms[message["room"]]):
                        if member is not socket:
                            try:
                                await member.send_text(frame)
                            except (RuntimeError, WebSocketDisconnect):
                                rooms[message["room"]].discard(member)
    except WebSocketDisconnect:
        pass
    finally:
        for name in joined:
            rooms[name].discard(socket)


uvicorn.run(
    app, host="127.0.0.1", port=int(PORT), loop="uvloop", http="httptools", ws="websockets", log_level="error", backlog=4096
)

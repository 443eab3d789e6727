// Node.js with ws and jsonwebtoken, as an application would write it: the token is verified before the 101, rooms are sets.
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { WebSocketServer } from "ws";

const [port, secret, issuer, audience] = process.argv.slice(2);
const options = { algorithms: ["HS256"], issuer, audience };
const server = createServer((_, response) => response.writeHead(404).end());
const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
const rooms = new Map();

server.on("upgrade", (request, socket, head) => {
  const token = request.headers.authorization?.replace(/^Bearer /, "");
  let claims;
  try {
    claims = jwt.verify(token, secret, options);
  } catch {
    socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (ws) => welcome(ws, { id: claims.sub, name: claims.name }));
});

function welcome(ws, user) {
  const joined = new Set();
  ws.on("error", () => {});
  ws.on("message", (data) => {
    const message = JSON.parse(data.toString());
    switch (message.type) {
      case "ping":
        ws.send('{"type":"pong"}');
        break;
      case "join": {
        const room = rooms.get(message.room) ?? new Set();
        rooms.set(message.room, room);
        room.add(ws);
        joined.add(message.room);
        ws.send(JSON.stringify({ type: "joined", room: message.room, viewers: room.size }));
        break;
      }
      case "publish": {
        const frame = JSON.stringify({ type: "message", room: message.room, user, data: message.data });
        for (const member of rooms.get(message.room) ?? []) {
          if (member !== ws && member.readyState === ws.OPEN) member.send(frame);
        }
        break;
      }
    }
  });
  ws.on("close", () => {
    for (const name of joined) {
      const room = rooms.get(name);
      room?.delete(ws);
      if (room?.size === 0) rooms.delete(name);
    }
  });
  ws.send(JSON.stringify({ type: "authenticated", user }));
}

server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });

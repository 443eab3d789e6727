// Socket.IO with jsonwebtoken: the token is verified by a middleware, rooms are Socket.IO's own.
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";

const [port, secret, issuer, audience] = process.argv.slice(2);
const options = { algorithms: ["HS256"], issuer, audience };
const server = createServer();
const io = new Server(server, { transports: ["websocket"], serveClient: false });

io.use((socket, next) => {
  try {
    const claims = jwt.verify(socket.handshake.auth.token, secret, options);
    socket.data.user = { id: claims.sub, name: claims.name };
    next();
  } catch {
    next(new Error("Unauthorized"));
  }
});

io.on("connection", (socket) => {
  socket.on("ping", () => socket.emit("pong"));
  socket.on("join", (room) => {
    socket.join(room);
    socket.emit("joined", room);
  });
  socket.on("publish", (room, data) => socket.to(room).emit("message", { room, user: socket.data.user, data }));
});

server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });

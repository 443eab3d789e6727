// A SockJS client in JavaScript: `npm install sockjs-client`, then `node client.mjs http://127.0.0.1:8080/sockjs alice:KEY`.
// In a page, SockJS comes from sockjs.min.js, and the first line goes.
import SockJS from "sockjs-client";

const [address, userAndKey] = process.argv.slice(2);
const socket = new SockJS(address);

// `send` wraps the text in an array, as SockJS wants it: do not wrap it yourself.
const send = (message) => socket.send(JSON.stringify(message));

socket.onopen = () => send({ auth: userAndKey });

socket.onmessage = ({ data }) => {
  // An endpoint with `octoprint.enabled` sends objects, any other one sends texts.
  const message = typeof data === "string" ? JSON.parse(data) : data;
  if (message.type === "authenticated" || message.authenticated) {
    send({ type: "join", room: "board-1" });
  } else if (message.type === "joined") {
    console.log(`in ${message.room} with ${message.viewers}`);
    socket.close();
  } else if (message.type === "error" || message.error) {
    console.log("refused:", (message.error.error ?? message.error), message.hint ?? message.error.hint ?? "");
  }
};

socket.onclose = ({ code, reason }) => console.log(`closed ${code} ${reason}`);

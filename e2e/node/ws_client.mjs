// Node's `ws`: each carrier a program has, refusals over HTTP and by close code. Arguments: URL, token, API key, ticket.
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";

const [url, token, apiKey, ticket] = process.argv.slice(2);
setTimeout(() => {
  console.error("timed out");
  process.exit(1);
}, 30_000).unref();

/** Opens a socket whose frames are kept in order from the first one on. */
function open(address, protocols, options) {
  const socket = new WebSocket(address, protocols, options);
  const frames = [];
  const waiting = [];
  socket.on("message", (data) => {
    const frame = JSON.parse(data.toString());
    const next = waiting.shift();
    next ? next(frame) : frames.push(frame);
  });
  socket.frame = () => (frames.length ? Promise.resolve(frames.shift()) : new Promise((resolve) => waiting.push(resolve)));
  return socket;
}

async function enters(carrier, address, protocols, options) {
  const socket = open(address, protocols, options);
  const frame = await socket.frame();
  assert.equal(frame.type, "authenticated");
  assert.equal(frame.carrier, carrier);
  assert.deepEqual(frame.user, { id: "user-alice", name: "Alice" });
  return socket;
}

async function refused(address, protocols, options, status, code) {
  const socket = open(address, protocols, options);
  const [, response] = await once(socket, "unexpected-response");
  assert.equal(response.statusCode, status);
  const body = JSON.parse((await response.setEncoding("utf8").toArray()).join(""));
  assert.equal(body.code, code);
  socket.on("error", () => {});
  socket.terminate();
}

const encoded = Buffer.from(token).toString("base64url");
const bearerProtocol = `base64url.bearer.authorization.k8s.io.${encoded}`;

const byHeader = await enters("header", url, [], { headers: { Authorization: `Bearer ${token}` } });
await enters("header", url, [], { headers: { "X-Api-Key": `user-alice:${apiKey}` } });
await enters("query", `${url}?token=${token}`);
await enters("ticket", `${url}?ticket=${ticket}`);
const byProtocol = await enters("subprotocol", url, [bearerProtocol, "usher.v1"]);
assert.equal(byProtocol.protocol, "usher.v1");

const first = open(url);
await once(first, "open");
first.send(JSON.stringify({ type: "auth", token }));
assert.equal((await first.frame()).carrier, "first_message");

await refused(url, [], { headers: { Authorization: "Bearer a.b.c" } }, 401, "invalid_token");
await refused(`${url}?ticket=${ticket}`, [], {}, 401, "invalid_ticket");
await refused(`${url}?token=${token}`, [], { headers: { Authorization: `Bearer ${token}` } }, 400, "multiple_credentials");

// A browser's request is told by a close code.
const browser = open(`${url}?token=a.b.c`, [], { origin: "http://app.test" });
const [code, reason] = await once(browser, "close");
assert.equal(code, 4001);
assert.equal(reason.toString(), "Unauthorized");
assert.equal((await browser.frame()).code, "invalid_token");
assert.equal((await browser.frame()).type, "bye");

// Pings are answered, and so is a close.
byHeader.ping("x");
const [pong] = await once(byHeader, "pong");
assert.equal(pong.toString(), "x");
byHeader.close(1000, "done");
const [closeCode] = await once(byHeader, "close");
assert.equal(closeCode, 1000);

console.log("ok");
process.exit(0);

// S1: OctoPrint's JavaScript client over one transport. Arguments: base URL, folder of the package's scripts, transport, password.
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base, scripts, transport, password] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.USHER_E2E_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
const files = [
  "lib/jquery/jquery.js", "lib/lodash.js", "lib/sockjs.min.js", "app/client/base.js", "app/client/socket.js", "app/client/browser.js",
];

try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${error}`));
  // Any page of the server's will do: its Origin is the server's. A page that did not come over the network may open no WebSocket.
  await page.goto(`${base}/healthz`);
  for (const file of files) await page.addScriptTag({ path: join(scripts, file) });

  await page.evaluate(
    ([base, transport]) => {
      OctoPrint.options.baseurl = base;
      // The events in order, each awaited once.
      const events = [];
      const waiting = [];
      OctoPrint.socket.onMessage("*", ({ event, data }) => {
        const next = waiting.shift();
        next ? next([event, data]) : events.push([event, data]);
      });
      window.nextEvent = () => (events.length ? Promise.resolve(events.shift()) : new Promise((resolve) => waiting.push(resolve)));
      window.open_ = () => OctoPrint.socket.connect({ transports: [transport] });
      // jQuery's promises hold the answer's body, and on failure the request.
      window.done = (call) => new Promise((resolve, reject) => call.done(resolve).fail((xhr) => reject(new Error(`${xhr.status}`))));
    },
    [base, transport],
  );
  const next = () =>
    Promise.race([
      page.evaluate(() => nextEvent()),
      new Promise((_, reject) => setTimeout(reject, 20_000, new Error("no event came")).unref()),
    ]);
  const expect = async (name) => {
    const [event, data] = await next();
    assert.equal(event, name, JSON.stringify(data));
    return data;
  };
  const call = (name, ...args) => page.evaluate(([name, args]) => done(OctoPrint.browser[name](...args)), [name, args]);
  const sendAuth = ({ name, session }) => page.evaluate(([name, session]) => OctoPrint.socket.sendAuth(name, session), [name, session]);

  // A page opens its socket first, and asks who its visitor is: nobody yet.
  await page.evaluate(() => open_());
  assert.ok((await expect("connected")).version);
  assert.equal(await page.evaluate(() => OctoPrint.socket.socket.transport), transport);
  assert.equal((await call("passiveLogin")).name, undefined);
  await assert.rejects(call("login", "alice", "wrong", true), /403/);
  await sendAuth({ name: "alice", session: "wrong" });
  await expect("error");
  assert.deepEqual(await expect("reauthRequired"), { reason: "stale" });

  const user = await call("login", "alice", password, true);
  assert.deepEqual([user.name, user.user, user.admin], ["alice", true, false]);
  await sendAuth(user);
  assert.deepEqual((await expect("authenticated")).user, { id: "alice", name: "Alice" });
  assert.ok((await expect("history")).state);

  // A tab that is loaded now knows its visitor by the cookie.
  const passive = await call("passiveLogin");
  assert.equal(passive.name, "alice");
  await page.evaluate(() => OctoPrint.socket.sendMessage("throttle", 2));

  assert.equal((await call("logout")).name, undefined);
  assert.deepEqual(await expect("reauthRequired"), { reason: "logout" });
  assert.equal((await call("passiveLogin")).name, undefined);
  // What was good before is not any more; who logs in again goes on over the same socket.
  await sendAuth(passive);
  await expect("error");
  assert.deepEqual(await expect("reauthRequired"), { reason: "stale" });
  await sendAuth(await call("login", "alice", password, false));
  await expect("authenticated");
  await expect("history");
  await page.evaluate(() => OctoPrint.socket.disconnect());

  // A socket that is opened by a page whose visitor is logged in.
  await page.evaluate(() => open_());
  await expect("connected");
  await expect("authenticated");
  await expect("history");
  await sendAuth(await call("passiveLogin"));
  await expect("authenticated");
  await call("logout");
  // Renewing may have been answered with the printer's state once more.
  let [event, data] = await next();
  if (event === "history") [event, data] = await next();
  assert.deepEqual([event, data], ["reauthRequired", { reason: "logout" }]);

  assert.deepEqual(errors, []);
  console.log("ok");
} finally {
  await browser.close();
}

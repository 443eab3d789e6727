// What a page's script reads of a close: `event.code` and `event.reason`. Arguments: base URL, then pairs of path and code.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [base, ...pairs] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.USHER_E2E_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
try {
  const page = await browser.newPage();
  await page.goto(base);
  for (const pair of pairs) {
    const [path, code, reason, firstFrame] = pair.split("|");
    const seen = await page.evaluate(
      ({ path, firstFrame }) =>
        new Promise((resolve) => {
          const socket = new WebSocket(path);
          const frames = [];
          socket.onopen = () => firstFrame && socket.send(firstFrame);
          socket.onmessage = (event) => frames.push(JSON.parse(event.data));
          socket.onclose = (event) => resolve({ code: event.code, reason: event.reason, clean: event.wasClean, frames });
        }),
      { path: base.replace("http", "ws") + path, firstFrame },
    );
    assert.equal(seen.code, Number(code), `${path}: ${JSON.stringify(seen)}`);
    assert.equal(seen.reason, reason, path);
    if (seen.code !== 1006) {
      assert.equal(seen.clean, true, path);
      const bye = seen.frames.at(-1);
      assert.equal(bye.type, "bye", path);
      assert.equal(bye.code, seen.code, path);
    }
  }
  console.log("ok");
} finally {
  await browser.close();
}

// Two people in two browsers meet on the boards page. Arguments: base URL, password, folder for screenshots (or "").
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base, alicePassword, bobPassword, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.USHER_E2E_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
const errors = [];

async function person(id, password) {
  // A context of its own: its own cookies, as another browser has.
  const context = await browser.newContext({ viewport: { width: 900, height: 760 } });
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(`${id}: ${error}`));
  page.on("console", (message) => {
    // A 401 for "who am I" before the log-in is how the page learns that there is nobody.
    if (message.type() === "error" && !message.text().includes("401")) errors.push(`${id}: ${message.text()}`);
  });
  await page.goto(base);
  await page.getByTestId("login-user").fill(id);
  await page.getByTestId("login-password").fill(password);
  await page.getByTestId("login-submit").click();
  await page.getByTestId("board-join").waitFor({ state: "visible" });
  await page.getByTestId("board-name").fill("board-1");
  await page.getByTestId("board-join").click();
  return page;
}

const text = (page, id, expected) =>
  page.waitForFunction(
    ([id, expected]) => document.querySelector(`[data-testid="${id}"]`)?.textContent.includes(expected),
    [id, expected],
    { timeout: 10_000 },
  );

try {
  const alice = await person("alice", alicePassword);
  await text(alice, "members", "Alice");
  const bob = await person("bob", bobPassword);
  await text(bob, "members", "Alice");
  await text(alice, "members", "Bob");
  await text(alice, "viewers", "2");
  await bob.getByTestId("message-input").pressSequentially("Hello from Bob <b>&</b>");
  await text(alice, "typing", "Bob");
  await bob.getByTestId("message-send").click();
  await text(alice, "messages", "Hello from Bob <b>&</b>");
  if (folder) {
    await alice.screenshot({ path: join(folder, "alice.png") });
    await bob.screenshot({ path: join(folder, "bob.png") });
  }
  // A second tab of Bob's, and a log-out in the first: both end, and say why.
  const tab = await bob.context().newPage();
  await tab.goto(base);
  await tab.getByTestId("board-join").waitFor({ state: "visible" });
  await bob.getByTestId("logout").click();
  await text(tab, "close-info", "4004");
  if (folder) await tab.screenshot({ path: join(folder, "ended.png") });
  await text(alice, "viewers", "1");
  assert.deepEqual(errors, []);
  console.log("ok");
} finally {
  await browser.close();
}

// sockjs-client in a browser. Arguments: URL of a page that has loaded it, base URL, then transports. Prints one line of JSON for
// each check.
import { chromium } from "playwright-core";

const [url, base, ...transports] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.USHER_E2E_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
let failed = false;
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(String(error)));
  await page.exposeFunction("report", (outcome) => {
    console.log(JSON.stringify(outcome));
    failed ||= !outcome.ok;
  });
  await page.goto(url);
  for (const transport of transports) {
    await page.evaluate(
      async ([base, transport]) => {
        const { check } = await import("/checks.mjs");
        await check(globalThis.SockJS, base, transport, globalThis.report);
      },
      [base, transport],
    );
  }
} finally {
  await browser.close();
}
process.exitCode = failed ? 1 : 0;

// sockjs-client in Node.js. Arguments: base URL, then transports. Prints one line of JSON for each check.
import SockJS from "sockjs-client";
import { check } from "../sockjs/checks.mjs";

const [base, ...transports] = process.argv.slice(2);
let failed = false;
for (const transport of transports) {
  await check(SockJS, base, transport, (outcome) => {
    console.log(JSON.stringify(outcome));
    failed ||= !outcome.ok;
  });
}
process.exit(failed ? 1 : 0);

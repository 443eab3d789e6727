// What sockjs-client is held to, in Node.js and in a page alike. Each check has a name; `report` is told each one's outcome.

/** Time for one check, and for sockjs-client to open a session: its own 0.6 s are too short on a busy machine. */
const PATIENCE_MS = 20_000;

const ESCAPE_RANGES = [
  [0x00, 0x1f],
  [0x200c, 0x200f],
  [0x2028, 0x202f],
  [0x2060, 0x206f],
  [0xfff0, 0xffff],
];
const SPECIAL = ['"', "\\", "/", "%", "%25", "%zz", "</script>", "'", "\u007f", "\u0085"];

/** What stands between the surrogates, in code points. */
function escapedCharacters() {
  const characters = [...SPECIAL];
  for (const [first, last] of ESCAPE_RANGES) {
    for (let code = first; code <= last; code++) characters.push(String.fromCharCode(code));
  }
  return characters;
}

const shown = (value) => JSON.stringify(value).slice(0, 200);

function assertEqual(seen, expected) {
  if (JSON.stringify(seen) !== JSON.stringify(expected)) throw new Error(`${shown(seen)} instead of ${shown(expected)}`);
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A session whose events are kept in order from the first one on. */
class Conversation {
  #events = [];
  #waiting = [];

  constructor(SockJS, url, transport) {
    this.id = `e2e${Math.random().toString(36).slice(2)}`;
    this.client = new SockJS(url, null, { transports: [transport], timeout: PATIENCE_MS, sessionId: () => this.id });
    const keep = (event) => {
      const next = this.#waiting.shift();
      next ? next(event) : this.#events.push(event);
    };
    // The name of the transport is gone once the session is closed.
    this.client.onopen = () => keep({ open: this.client.transport });
    this.client.onmessage = (event) => keep({ message: event.data });
    // The padding before the first frame of xhr-streaming is a heartbeat to sockjs-client.
    this.client.onheartbeat = () => this.client.readyState === SockJS.OPEN && keep({ heartbeat: true });
    this.client.onclose = ({ code, reason, wasClean }) => keep({ close: [code, reason, wasClean] });
  }

  static async open(SockJS, url, transport) {
    const conversation = new Conversation(SockJS, url, transport);
    assertEqual(await conversation.event(), { open: transport });
    return conversation;
  }

  event() {
    const next = this.#events.length ? this.#events.shift() : new Promise((resolve) => this.#waiting.push(resolve));
    return within(Promise.resolve(next), "an event");
  }

  async message() {
    const event = await this.event();
    return event.heartbeat ? this.message() : (event.message ?? event);
  }

  async echoes(messages, expected = messages) {
    for (const message of messages) this.client.send(message);
    for (const message of expected) assertEqual(await this.message(), message);
  }

  /** The client closes; the answer is why the server says that the session ended. */
  async close(base) {
    this.client.close(3999, "no more");
    let event;
    do event = await this.event();
    while (event.heartbeat);
    assertEqual(event, { close: [3999, "no more", true] });
    const answer = await within(fetch(`${base}/ended/${this.id}`), "the end of the session at the server");
    return answer.text();
  }
}

const ECHOES = {
  echo_plain: (echo) => echo.echoes(["Hello", "", " ", "a", "[]", '{"type":"x"}', "null", "o", "h", 'c[3000,"x"]']),
  echo_unicode: (echo) => {
    const texts = ["Grüße", "日本語", "\u{1f600}\u{10ffff}", "e\u0301 \u0958 \u1f71 \uf900", "שלום \u200b", "\ufdd0\ud7ff\ue000"];
    return echo.echoes([...texts, texts.join("")]);
  },
  echo_escapes: (echo) => echo.echoes([...escapedCharacters(), escapedCharacters().join("")]),
  // JavaScript's strings can hold these, the server's cannot.
  echo_lone_surrogates: (echo) =>
    echo.echoes(
      ["\ud800", "\udfff", "a\ud83db", "\ude00\ud83d", "\ud83d\ud83d\ude00"],
      ["\ufffd", "\ufffd", "a\ufffdb", "\ufffd\ufffd", "\ufffd\u{1f600}"],
    ),
  echo_100_kib: (echo) => echo.echoes(["x".repeat(100 * 1024), "€".repeat(Math.floor((100 * 1024) / 3)), "%".repeat(1024)]),
  echo_in_order: (echo) => echo.echoes(Array.from({ length: 2000 }, (_, number) => `message ${number}`)),
};

/** All checks over one transport, against the services below `base`. */
export async function check(SockJS, base, transport, report) {
  const outcome = async (name, work) => {
    try {
      const detail = await work();
      report({ transport, check: name, ok: true, detail });
    } catch (error) {
      report({ transport, check: name, ok: false, detail: String(error?.message ?? error) });
    }
  };
  for (const [name, work] of Object.entries(ECHOES)) {
    await outcome(name, async () => {
      const echo = await Conversation.open(SockJS, `${base}/echo`, transport);
      await work(echo);
      echo.client.close();
    });
  }
  await outcome("heartbeat", async () => {
    const quiet = await Conversation.open(SockJS, `${base}/lively`, transport);
    assertEqual(await quiet.event(), { heartbeat: true });
    assertEqual(await quiet.event(), { heartbeat: true });
    await quiet.echoes(["still here"]);
    quiet.client.close();
  });
  await outcome("server_close_at_once", async () => {
    const closed = await Conversation.open(SockJS, `${base}/close`, transport);
    assertEqual(await closed.event(), { close: [3000, "Go away!", true] });
  });
  await outcome("server_close_after_messages", async () => {
    const closed = await Conversation.open(SockJS, `${base}/observed`, transport);
    const last = 'close 4321 Enough \u{1f44b} 100% "done"';
    // It is said back, and then obeyed at once.
    await closed.echoes([last]);
    assertEqual(await closed.message(), { close: [4321, 'Enough \u{1f44b} 100% "done"', true] });
  });
  await outcome("client_close", async () => {
    const closing = await Conversation.open(SockJS, `${base}/observed`, transport);
    await closing.echoes(["here"]);
    return closing.close(base);
  });
}

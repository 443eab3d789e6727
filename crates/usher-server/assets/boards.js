// The boards page: logs in over HTTP, so that the session cookie authenticates the WebSocket, and meets others on a board.
//
// What people wrote only ever becomes text nodes. The frames are those of the subprotocol usher.v1: docs/protocol/websocket.md.

const SOCKET_PATH = "/ws";
const SUBPROTOCOL = "usher.v1";
/** First pause before connecting again, and the longest, in milliseconds. */
const BACKOFF = { first: 500, longest: 30_000 };
/** A connection that has held for so long starts the pauses anew. */
const STEADY_MS = 10_000;
/** How long somebody counts as typing, and how often we say that we are. */
const TYPING = { shownMs: 4_000, sentEveryMs: 2_000 };
/** How often the server is asked for a sign of life, and how long it may take. */
const HEARTBEAT = { everyMs: 25_000, answerMs: 10_000 };
/** Messages kept on the page. */
const MESSAGES_KEPT = 200;
/** How long the server has to end the socket of somebody who logged out. */
const LOGOUT_GRACE_MS = 2_000;

const at = (id) => document.getElementById(id);

/** Who is logged in, as far as we know: `{id, name}`. */
let me = null;
/** The connection, `{socket, bye}`: at most one, and at most one plan to make another. */
let link = null;
let plan = null;
let attempts = 0;
let steady = null;
let heartbeat = null;
let pongDue = null;
/** The board to be on, and whether the server has said that we are. */
let board = { name: null, joined: false };
const members = new Map();
const typists = new Map();
/** Our own messages the server has not answered for, by their `id`. */
const unanswered = new Map();
let nextId = 1;
let typingSentAt = -Infinity;

// ---------------------------------------------------------------- HTTP

/** Calls the API. Resolves to `{status, body}`, where `body` is null if it is no JSON; status 0 means that nobody answered. */
async function call(method, path, json) {
  const request = { method, credentials: "same-origin", headers: { accept: "application/json" } };
  if (json !== undefined) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(json);
  }
  try {
    const response = await fetch(path, request);
    const body = await response.json().catch(() => null);
    return { status: response.status, body, retryAfter: Number(response.headers.get("retry-after")) || 0 };
  } catch {
    return { status: 0, body: null, retryAfter: 0 };
  }
}

/** What a failed call says, for people. */
function explain({ status, body, retryAfter }) {
  if (status === 0) return "The server cannot be reached.";
  const said = [body?.title ?? `The server answered ${status}`, body?.detail].filter(Boolean).join(": ");
  return retryAfter > 0 ? `${said}. Try again in ${retryAfter} s.` : `${said}.`;
}

async function logIn(event) {
  event.preventDefault();
  const submit = at("login-submit");
  submit.disabled = true;
  at("login-error").textContent = "";
  const answer = await call("POST", "/auth/login", { user: at("login-user").value, pwd: at("login-password").value });
  submit.disabled = false;
  at("login-password").value = "";
  if (answer.status !== 200) {
    at("login-error").textContent = explain(answer);
    at("login-password").focus();
    return;
  }
  hideClose();
  enter(answer.body.user);
  at("board-name").focus();
}

async function logOut(everywhere) {
  const buttons = [at("logout"), at("logout-everywhere")];
  buttons.forEach((button) => (button.disabled = true));
  const answer = await call("POST", everywhere ? "/auth/logout?everywhere=true" : "/auth/logout");
  buttons.forEach((button) => (button.disabled = false));
  if (answer.status !== 204 && answer.status !== 401) {
    notify(`You are still logged in. ${explain(answer)}`);
    return;
  }
  // The server ends our socket as it ends all of the session's, and says so. Should that get lost, we end it ourselves.
  const leaving = link;
  setTimeout(() => leaving?.socket.close(1000), LOGOUT_GRACE_MS);
  exit();
}

/** Asks who we are. Resolves to true, false, or null if the server could not say. */
async function lookUpSession() {
  const answer = await call("GET", "/auth/session");
  if (answer.status === 200) {
    setUser(answer.body.user);
    return true;
  }
  return answer.status === 401 ? false : null;
}

/** Slides the session by its cookie. Resolves to true, false, or null if the server could not say. */
async function refreshSession() {
  const answer = await call("POST", "/auth/refresh");
  if (answer.status === 200) return true;
  return answer.status === 400 || answer.status === 401 ? false : null;
}

// ---------------------------------------------------------------- views

function setUser(user) {
  // Another tab may have logged in as somebody else, whose board is theirs to choose.
  if (me && me.id !== user.id) board = { name: null, joined: false };
  me = { id: user.id, name: user.name };
  at("whoami").textContent = me.name === me.id ? me.name : `${me.name} (${me.id})`;
}

/** Somebody is logged in: show the boards and connect. */
function enter(user) {
  setUser(user);
  at("account").hidden = false;
  at("login-view").hidden = true;
  at("boards-view").hidden = false;
  attempts = 0;
  connect();
}

/** Nobody is logged in: show the form. What was said about the close stays. */
function exit() {
  cancelPlan();
  drop();
  me = null;
  board = { name: null, joined: false };
  clearBoard();
  at("messages").replaceChildren();
  at("account").hidden = true;
  at("boards-view").hidden = true;
  at("login-view").hidden = false;
  at("reconnect").hidden = true;
  setStatus("offline", "Not logged in");
  at("login-user").focus();
  at("login-user").select();
}

function setStatus(state, text) {
  const status = at("status");
  status.dataset.state = state;
  status.textContent = text;
}

function notify(text) {
  at("notice").textContent = text;
  at("notice").hidden = text === "";
}

function hideClose() {
  at("close-card").hidden = true;
  at("close-info").replaceChildren();
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// ---------------------------------------------------------------- connection

function connect() {
  cancelPlan();
  if (link) return;
  setStatus("connecting", "Connecting…");
  const url = new URL(SOCKET_PATH, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = { socket: new WebSocket(url, SUBPROTOCOL), bye: null };
  link = opened;
  opened.socket.addEventListener("message", (event) => {
    if (typeof event.data === "string") receive(opened, event.data);
  });
  opened.socket.addEventListener("close", (event) => {
    if (link === opened) {
      drop();
      decide(event, opened.bye);
    } else if (!me) {
      showClose(event, opened.bye, "You are logged out.");
    }
  });
}

function send(frame) {
  if (link?.socket.readyState !== WebSocket.OPEN) return false;
  link.socket.send(JSON.stringify(frame));
  return true;
}

/** The connection is none of ours any more. */
function drop() {
  link = null;
  clearTimeout(steady);
  clearInterval(heartbeat);
  clearTimeout(pongDue);
  pongDue = null;
  board.joined = false;
  clearBoard();
  for (const item of unanswered.values()) fail(item, "not sent: the connection ended");
  unanswered.clear();
}

/** What follows a close. */
async function decide(event, last) {
  const wantedBy = me;
  // Without a `bye` the connection broke, or was refused over HTTP, which a browser does not tell apart.
  const reconnect = last?.reconnect ?? (event.code === 1000 ? "no" : "yes");
  showClose(event, last, "Asking the server whether you are still logged in…");
  setStatus("closed", "Disconnected");
  const stillIn = reconnect === "renew" ? await refreshSession() : await lookUpSession();
  if (link) return;
  if (!me) {
    showClose(event, last, "You are logged out.");
    return;
  }
  at("reconnect").hidden = false;
  if (stillIn === false) {
    showClose(event, last, "Your session is over. Log in again.");
    exit();
  } else if (me.id !== wantedBy.id) {
    showClose(event, last, `This browser is now logged in as ${me.name}.`);
  } else if (reconnect === "no") {
    showClose(event, last, stillIn ? adviceWhenRefused(event.code) : "The server cannot say whether you are still logged in.");
  } else if (stillIn === null) {
    later(event, last, "The server cannot be reached.");
  } else if (reconnect === "renew") {
    later(event, last, "Your session was renewed.");
  } else {
    later(event, last, last ? "The server asks you to come back." : "The network or the server went away.", last?.retry_after_ms);
  }
}

/** Plans the next attempt, and says so. */
function later(event, last, why, atLeast = 0) {
  const wait = pause(atLeast);
  const when = `Trying again in ${Math.max(1, Math.round(wait / 1000))} s`;
  showClose(event, last, `${why} ${when} (attempt ${attempts}).`);
  setStatus("waiting", when);
  plan = setTimeout(() => tryAgain(event, last), wait);
}

/** Connects once more, if we are still somebody: a refused upgrade looks like a broken network, a look-up does not. */
async function tryAgain(event, last) {
  plan = null;
  setStatus("connecting", "Connecting…");
  const stillIn = await lookUpSession();
  if (!me || link || plan) return;
  if (stillIn) {
    connect();
  } else if (stillIn === false) {
    showClose(event, last, "Your session is over. Log in again.");
    exit();
  } else {
    later(event, last, "The server cannot be reached.");
  }
}

/** The next pause: twice the last one, at a random point of its second half, and not before the server wants it. */
function pause(atLeast) {
  const longest = Math.min(BACKOFF.longest, BACKOFF.first * 2 ** attempts);
  attempts += 1;
  return atLeast + longest / 2 + (Math.random() * longest) / 2;
}

function cancelPlan() {
  clearTimeout(plan);
  plan = null;
}

/** Why coming back would change nothing, and what would. */
function adviceWhenRefused(code) {
  switch (code) {
    case 1000:
      return "The connection was closed in good order.";
    case 1002:
    case 1003:
    case 1007:
      return "The server did not understand this page. Reload it.";
    case 1009:
      return "A message was too big. Send a shorter one.";
    case 3003:
    case 4003:
      return "You are not allowed here. Choose another board, or ask whoever runs this server.";
    default:
      return "The session this connection stood for is over, but you are logged in. Connect again if you want to.";
  }
}

function showClose(event, last, whatNow) {
  const reason = last?.reason || event.reason;
  const facts = element("p");
  facts.append("Code ", element("strong", "", String(event.code)), reason ? `: ${reason}` : event.code === 1006 ? ": broken without a word" : "");
  at("close-info").replaceChildren(facts, element("p", "", whatNow));
  at("close-card").hidden = false;
}

// ---------------------------------------------------------------- frames

function receive(from, text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return;
  }
  if (frame.type === "bye") from.bye = frame;
  const ours = from === link && (frame.room === undefined || frame.room === board.name);
  if (ours && Object.hasOwn(HANDLERS, frame.type)) HANDLERS[frame.type](frame);
}

const HANDLERS = {
  authenticated(frame) {
    setUser(frame.user);
    setStatus("connected", "Connected");
    hideClose();
    at("reconnect").hidden = true;
    clearTimeout(steady);
    steady = setTimeout(() => (attempts = 0), STEADY_MS);
    clearInterval(heartbeat);
    heartbeat = setInterval(beat, HEARTBEAT.everyMs);
    if (frame.rooms_lost?.includes(board.name)) lost("your rights changed");
    // A new connection is on no board yet.
    if (board.name && !board.joined) join(board.name);
    updateBoard();
  },

  async reauth_required() {
    const refreshed = await refreshSession();
    if (refreshed === false) notify("Your session ends soon and cannot be extended. Log in again.");
  },

  joined(frame) {
    board.joined = true;
    notify("");
    setMembers(frame.members);
    setViewers(frame.viewers);
    updateBoard();
    note(`You joined ${board.name}.`);
    if (at("board-form").contains(document.activeElement)) at("message-input").focus();
  },

  left() {
    board = { name: null, joined: false };
    clearBoard();
  },

  user_joined(frame) {
    if (!members.has(frame.user.id)) note(`${frame.user.name} joined.`);
    members.set(frame.user.id, frame.user.name);
    showMembers();
    setViewers(frame.viewers);
  },

  user_left(frame) {
    members.delete(frame.user.id);
    note(`${frame.user.name} left.`);
    stopTyping(frame.user.id);
    showMembers();
    setViewers(frame.viewers);
  },

  viewers(frame) {
    setMembers(frame.members);
    setViewers(frame.viewers);
  },

  rooms_lost(frame) {
    if (frame.rooms.includes(board.name)) lost(frame.reason);
  },

  user_typing(frame) {
    const { id, name } = frame.user;
    clearTimeout(typists.get(id)?.timer);
    typists.set(id, { name, timer: setTimeout(() => stopTyping(id), TYPING.shownMs) });
    showTyping();
  },

  message(frame) {
    stopTyping(frame.user.id);
    addMessage(frame.user, textOf(frame.data));
  },

  published(frame) {
    const item = unanswered.get(frame.id);
    unanswered.delete(frame.id);
    item?.querySelector(".meta")?.replaceChildren(`You, ${clock()}`);
  },

  pong() {
    clearTimeout(pongDue);
    pongDue = null;
  },

  error(frame) {
    const said = frame.hint ? `${frame.error}: ${frame.hint}` : frame.error;
    const item = unanswered.get(frame.id);
    if (item) {
      unanswered.delete(frame.id);
      fail(item, `not sent: ${said}`);
    } else if (frame.room && !board.joined) {
      notify(`You cannot join ${frame.room}: ${said}`);
      board = { name: null, joined: false };
      clearBoard();
    } else {
      notify(said);
    }
  },
};

/** Finds out that the other end is gone, which a browser notices after minutes. */
function beat() {
  if (pongDue || !send({ type: "ping" })) return;
  pongDue = setTimeout(() => {
    const dead = link;
    drop();
    dead.socket.close();
    decide({ code: 1006, reason: "no answer" }, null);
  }, HEARTBEAT.answerMs);
}

// ---------------------------------------------------------------- the board

function chooseBoard(event) {
  event.preventDefault();
  const name = at("board-name").value.trim();
  if (name === board.name && board.joined) return;
  if (board.joined) send({ type: "leave", room: board.name });
  clearBoard();
  at("messages").replaceChildren();
  join(name);
}

function join(name) {
  board = { name, joined: false };
  notify("");
  // Without a connection it is joined as soon as there is one.
  send({ type: "join", room: name });
}

function leaveBoard() {
  if (!board.joined || !send({ type: "leave", room: board.name })) {
    board = { name: null, joined: false };
    clearBoard();
  }
  at("board-name").focus();
}

function lost(reason) {
  notify(`You are no longer on ${board.name}: ${reason}.`);
  board = { name: null, joined: false };
  clearBoard();
}

/** Nobody is on the board any more, as far as this page can tell. */
function clearBoard() {
  setMembers([]);
  setViewers(undefined);
  for (const { timer } of typists.values()) clearTimeout(timer);
  typists.clear();
  showTyping();
  updateBoard();
}

function updateBoard() {
  const on = board.joined;
  at("people").hidden = !on;
  at("board-leave").hidden = !on;
  at("message-input").disabled = !on;
  at("message-send").disabled = !on;
  at("messages-title").textContent = on ? board.name : board.name ? `${board.name} (not connected)` : "Join a board to read and write";
}

/** A list of members, or none: then only their number is known. */
function setMembers(list) {
  members.clear();
  for (const { id, name } of list ?? []) members.set(id, name);
  at("members").hidden = list === undefined;
  showMembers();
}

/** How many are here, of whom the list may hold only some. */
function setViewers(count) {
  const more = (count ?? 0) - members.size;
  const unlisted = at("members").hidden ? "This board does not show who is here." : more > 0 ? `and ${more} more` : "";
  at("members-note").textContent = unlisted;
  at("members-note").hidden = unlisted === "";
  at("viewers").textContent = count === undefined ? "" : String(count);
  at("viewers").setAttribute("aria-label", count === 1 ? "1 user" : `${count ?? "unknown number of"} users`);
}

function showMembers() {
  const byName = [...members].sort(([, one], [, other]) => one.localeCompare(other));
  at("members").replaceChildren(
    ...byName.map(([id, name]) => {
      const item = element("li", "", name);
      item.dataset.user = id;
      if (id === me?.id) item.append(element("span", "self", " (you)"));
      return item;
    }),
  );
}

function showTyping() {
  const names = [...typists.values()].map(({ name }) => name);
  const many = names.length > 3;
  const who = many ? `${names.length} people` : names.join(", ").replace(/, ([^,]*)$/, " and $1");
  at("typing").textContent = names.length === 0 ? "" : `${who} ${names.length === 1 ? "is" : "are"} typing…`;
}

function stopTyping(id) {
  clearTimeout(typists.get(id)?.timer);
  if (typists.delete(id)) showTyping();
}

function sayTyping() {
  const now = performance.now();
  if (!board.joined || at("message-input").value === "" || now - typingSentAt < TYPING.sentEveryMs) return;
  if (send({ type: "typing", room: board.name })) typingSentAt = now;
}

function publish(event) {
  event.preventDefault();
  const input = at("message-input");
  const text = input.value.trim();
  if (text === "" || !board.joined) return;
  const id = nextId++;
  if (!send({ type: "publish", room: board.name, data: { text }, id })) return;
  unanswered.set(id, addMessage(me, text, "You, sending…"));
  input.value = "";
  typingSentAt = -Infinity;
}

function fail(item, why) {
  item.classList.add("failed");
  item.querySelector(".meta")?.replaceChildren(why);
}

/** What others published may be any JSON. */
function textOf(data) {
  return typeof data?.text === "string" ? data.text : JSON.stringify(data);
}

function clock() {
  return new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function addMessage(user, text, meta) {
  const own = user.id === me?.id;
  const item = element("li", own ? "own" : "");
  item.append(element("span", "meta", meta ?? `${own ? "You" : user.name}, ${clock()}`), element("span", "text", text));
  return append(item);
}

function note(text) {
  append(element("li", "event", text));
}

function append(item) {
  const list = at("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.childElementCount > MESSAGES_KEPT) list.firstElementChild.remove();
  // Who has scrolled up to read is left there.
  if (atEnd) list.scrollTop = list.scrollHeight;
  return item;
}

// ---------------------------------------------------------------- start

at("login-form").addEventListener("submit", logIn);
at("logout").addEventListener("click", () => logOut(false));
at("logout-everywhere").addEventListener("click", () => logOut(true));
at("board-form").addEventListener("submit", chooseBoard);
at("board-leave").addEventListener("click", leaveBoard);
at("message-form").addEventListener("submit", publish);
at("message-input").addEventListener("input", sayTyping);
at("close-dismiss").addEventListener("click", hideClose);
at("reconnect").addEventListener("click", connect);
window.addEventListener("online", () => {
  if (plan) connect();
});

lookUpSession().then((stillIn) => {
  if (stillIn) {
    enter(me);
  } else {
    exit();
    if (stillIn === null) notify("The server cannot be reached. Reload the page to try again.");
  }
});

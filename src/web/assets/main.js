// The page: which view is shown, what happens in all sessions, and the keyboard.
import { listen, login, logout } from "./api.js";
import { card, inbox, open } from "./approvals.js";
import { button, el, tell, visible } from "./dom.js";
import { List } from "./list.js";
import { SessionView } from "./session.js";
import { tree } from "./tree.js";
import { usage } from "./usage.js";

const view = document.getElementById("view");
const list = new List(document.getElementById("list"));
const badge = document.getElementById("badge");
let current = null;
let stop = null;
let out = false;
let shown = 0;
let asked = { approvals: [], mayRun: false };

const KINDS = new Set([undefined, "", "s", "approvals", "usage", "tree"]);

/** Shows what the address says. What comes too late, because somebody has gone on, is not shown. */
async function show() {
  if (out) return;
  const [start, kind, name, turn] = location.hash.split("/").map(decodeURIComponent);
  if (!KINDS.has(kind) || !["", "#"].includes(start)) return;
  const turnOf = shown += 1;
  const put = (...children) => { if (turnOf === shown) view.replaceChildren(...children); };
  current?.close();
  current = null;
  document.body.dataset.view = kind || "list";
  list.mark(kind === "s" ? name : null);
  try {
    if (kind === "s") {
      current = new SessionView(view, name, turn);
      await current.open();
      asks(true);
    } else if (kind === "approvals") {
      put(inbox(asked, approvals));
    } else if (kind === "usage") {
      put(await usage());
    } else if (kind === "tree") {
      put(await tree(name));
    } else {
      put(el("p", { class: "empty" }, "Choose a session. Press ? for the keyboard."));
    }
  } catch (error) {
    if (error.status !== 401) put(el("div", { class: "empty", role: "alert" }, el("p", {}, visible(error.message)), button("Try again", show)));
  }
}

const ids = (all) => all.map((approval) => approval.id).join();

async function approvals() {
  const before = ids(asked.approvals);
  try {
    asked = await open();
  } catch {
    return;
  }
  const count = asked.approvals.length;
  badge.hidden = count === 0;
  badge.textContent = String(count);
  document.title = count ? `(${count}) Codex sessions` : "Codex sessions";
  // Whoever fills one in goes on with it.
  if (before === ids(asked.approvals)) return;
  list.asks(asked.approvals);
  asks();
  if (location.hash.startsWith("#/approvals")) {
    const there = new Map([...view.querySelectorAll(".approval")].map((place) => [place.dataset.id, place]));
    view.replaceChildren(inbox(asked, approvals, there));
  }
  notify(count);
}

/** The approvals of the session that is open, below its transcript: the cards that are there stay. */
function asks(all = false) {
  if (!current) return;
  const own = asked.approvals.filter((approval) => approval.session === current.name);
  const there = new Map([...current.asks.children].map((card) => [card.dataset.id, card]));
  if (all) there.clear();
  current.asks.replaceChildren(...own.map((approval) => there.get(approval.id) ?? card(approval, asked.mayRun, approvals)));
}

let notified = 0;
function notify(count) {
  if (count > notified && document.hidden && "Notification" in window && Notification.permission === "granted") {
    new Notification("Codex asks", { body: `${count} open`, tag: "codex-mcp" });
  }
  notified = count;
}

function watch() {
  stop?.();
  stop = listen("/events", {
    changed: ({ sessions }) => {
      if (sessions) list.refresh();
      approvals();
    },
    trouble: (said) => tell(`${said.message} ${said.next}`, "all"),
    well: () => tell("", "all"),
  }, (is) => {
    if (is) tell("", "all");
    else tell("The connection is lost. It is tried again; if that does not help, run codex-mcp-server ui again.", "all");
  });
}

function ask() {
  stop?.();
  if (out) return;
  out = true;
  shown += 1;
  current?.close();
  current = null;
  list.clear();
  asked = { approvals: [], mayRun: false };
  badge.hidden = true;
  document.title = "Codex sessions";
  document.getElementById("logout").hidden = true;
  tell("", "all");
  const token = el("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const form = el("form", { class: "login", submit: async (event) => {
    event.preventDefault();
    try {
      await login(token.value);
      tell("");
      begin();
    } catch (error) {
      tell(error.status === 401 ? "That token is not good. codex-mcp-server token new makes one." : error.message);
    }
  } }, el("h2", {}, "Log in"), el("label", { for: "token" }, "A token of this server"), token, el("button", { class: "primary" }, "Log in"),
    el("p", { class: "quiet" }, "On your own machine, codex-mcp-server ui prints an address that needs none."));
  view.replaceChildren(form);
  token.focus();
}

const KEYS = [["/", "Search"], ["j, k", "Next, previous session"], ["a", "Approvals"], ["u", "Usage"], ["e", "Write a question"], ["Ctrl+Enter", "Send it"], ["?", "These keys"]];

function keys() {
  const dialog = document.getElementById("dialog");
  dialog.replaceChildren(el("h2", { id: "dialog-title" }, "Keyboard"), el("dl", {}, KEYS.map(([key, what]) => [el("dt", {}, key), el("dd", {}, what)])),
    "Notification" in window && Notification.permission === "default" ? button("Notify me when Codex asks", () => Notification.requestPermission()) : "",
    el("div", { class: "actions" }, button("Close", () => dialog.close())));
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const acts = {
    "/": () => list.search.focus(), j: () => list.step(1), k: () => list.step(-1), "?": keys,
    a: () => { location.hash = "#/approvals"; }, u: () => { location.hash = "#/usage"; }, e: () => document.getElementById("prompt")?.focus(),
  };
  if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
});

document.getElementById("keys").addEventListener("click", keys);
document.getElementById("logout").addEventListener("click", async () => { await logout(); ask(); });
document.addEventListener("login", ask);
// A stream that ended for good: whoever may not look any more is asked to log in.
document.addEventListener("again", async () => { await approvals(); if (!out) { watch(); current?.connect(); } });
document.addEventListener("approvals", approvals);
window.addEventListener("hashchange", show);
setInterval(() => { if (!document.hidden) list.show(); }, 30000);

function begin() {
  out = false;
  list.load();
  approvals();
  watch();
  show();
}
begin();

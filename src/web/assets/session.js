// A session: its transcript, the running turn as it happens, and what can be done with it.
import { get, listen, of, post, remove } from "./api.js";
import { amount, button, confirmed, el, renew, tell, visible } from "./dom.js";
import { doing, running } from "./items.js";
import { turnView } from "./turn.js";

/** How many turns stay on the page: what is older is a click away. */
const MOST = 200;

export class SessionView {
  constructor(place, name, wanted) {
    Object.assign(this, { place, name, wanted, turns: new Map(), before: null, live: null, mayRun: false });
    this.head = el("div", { class: "head" });
    this.older = button("Older turns", () => this.page(this.before), { hidden: true });
    this.transcript = el("div", { class: "transcript", "aria-live": "off" });
    this.asks = el("div", { class: "asks" });
    this.prompt = el("textarea", { id: "prompt", rows: "3", "aria-label": "What to ask or add", placeholder: "Ask the next question. Ctrl+Enter sends it.",
      keydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send(); } });
    this.sender = button("Ask", () => this.send(), { class: "primary" });
    this.stopper = button("Interrupt", () => this.act(() => post(`${of(this.name)}/interrupt`)), { class: "danger", hidden: true });
    this.composer = el("form", { class: "composer", submit: (event) => { event.preventDefault(); this.send(); } },
      this.prompt, el("div", { class: "actions" }, this.sender, this.stopper));
    place.replaceChildren(this.head, this.older, this.transcript, this.asks, this.composer);
  }

  async open() {
    await this.page();
    this.connect();
    // A tab that nobody sees needs no stream: a browser has few connections for all of them.
    this.seen = () => { if (document.hidden) this.stop?.(); else this.connect(); };
    document.addEventListener("visibilitychange", this.seen);
  }

  connect() {
    this.stop?.();
    if (this.closed) return;
    const handlers = {
      session: (session) => { this.state(session); this.sync(session); },
      turn: (turn) => this.begun(turn),
      item: (item) => this.item(item),
      text: (text) => this.text(text),
      doing: (doing) => this.doing(doing),
      ended: ({ turn }) => this.ended(turn),
      gone: () => { tell(`Session ${this.name} is not there any more: it was deleted or renamed, or has expired.`, "turn"); this.composer.hidden = true; this.close(true); },
      trouble: (said) => tell(`${said.message} ${said.next}`, "turn"),
      well: () => tell("", "turn"),
    };
    this.stop = listen(`${of(this.name)}/events`, handlers, (is) => { if (is) tell("", "turn"); else tell("The connection is lost. It is tried again.", "turn"); });
  }

  close(keeps = false) {
    this.closed = true;
    this.stop?.();
    document.removeEventListener("visibilitychange", this.seen);
    if (!keeps) tell("", "turn");
  }

  async page(before) {
    const query = before ? `?before=${before}` : "";
    const page = await get(`${of(this.name)}/turns${query}`);
    if (this.closed) return;
    this.mayRun = page.mayRun;
    this.before = page.before;
    this.older.hidden = !page.before;
    this.state(page.session);
    const known = this.turns.size > 0;
    for (const turn of page.turns.toReversed()) if (before || !this.turns.has(turn.number) || this.waits(turn.number)) this.put(turn, Boolean(before));
    if (!before && !known) {
      const wanted = this.wanted && document.getElementById(`turn-${this.wanted}`);
      (wanted ?? this.transcript.lastElementChild)?.scrollIntoView({ block: wanted ? "start" : "end" });
    }
  }

  /** Whether a turn is shown as one that waits. */
  waits(number) {
    return this.turns.get(number)?.classList.contains("queued");
  }

  put(turn, older = false) {
    if (turn.status === "running") return;
    const acts = this.mayRun ? { fork: (number) => this.fork(number) } : {};
    const view = turnView(this.name, turn, acts);
    this.turns.get(turn.number)?.remove();
    this.turns.set(turn.number, view);
    const later = [...this.turns].filter(([number]) => number > turn.number).sort(([one], [other]) => one - other)[0];
    this.transcript.insertBefore(view, later ? later[1] : this.live?.view ?? null);
    const numbers = [...this.turns.keys()].sort((one, other) => one - other);
    // Whoever reads what is old keeps it.
    if (!older && numbers.length > MOST) {
      const oldest = numbers[0];
      this.turns.get(oldest).remove();
      this.turns.delete(oldest);
      this.before = oldest + 1;
      this.older.hidden = false;
    }
  }

  state(session) {
    this.session = session;
    const runs = session.status === "running";
    this.sender.textContent = runs ? "Add to the running turn" : "Ask";
    this.stopper.hidden = !runs || !this.mayRun;
    this.composer.hidden = !this.mayRun;
    const from = session.forkedFrom;
    // What copies or asks looks at the session when it is clicked: the buttons stay.
    renew(this.head, el("div", { class: this.head.className },
      el("h2", {}, visible(session.title ?? session.name), " ", el("span", { class: `state ${session.status}` }, session.status)),
      el("p", { class: "facts" }, visible([session.name, session.directory, session.model, `${session.turns} turns`,
        `${amount(session.usage.totalTokens)} tokens`, session.machine].filter(Boolean).join(" · "))),
      from ? el("p", { class: "facts" }, "Forked from ", el("a", { href: `#/s/${encodeURIComponent(from.session)}/${from.turn}` }, `${visible(from.session)}, turn ${from.turn}`)) : "",
      el("div", { class: "actions" },
        session.threadId ? button("Copy codex resume", () => navigator.clipboard.writeText(`codex resume ${this.session.threadId}`)) : "",
        button("Fork tree", () => { location.hash = `#/tree/${encodeURIComponent(this.name)}`; }),
        button("Export Markdown", () => this.export("md")), button("Export JSON", () => this.export("json")),
        this.mayRun ? button("Delete", () => this.delete(), { class: "danger" }) : "")));
  }

  begun(turn) {
    if (turn.goesOn && this.live?.number === turn.number) return;
    this.live?.view.remove();
    // One that has waited.
    this.turns.get(turn.number)?.remove();
    this.turns.delete(turn.number);
    const now = el("p", { class: "doing", role: "status", "aria-live": "polite" });
    const items = el("div", { class: "items" });
    const view = el("article", { id: `turn-${turn.number}`, class: "turn running", "aria-label": `Turn ${turn.number}` },
      el("h3", {}, `Turn ${turn.number} `, el("span", { class: "state running" }, "running")),
      el("div", { class: "prompt" }, el("pre", { tabindex: "0", "aria-label": "Prompt" }, visible(turn.prompt))), items, now);
    this.live = { number: turn.number, view, now, items, places: new Map() };
    this.transcript.append(view);
    this.follow();
  }

  /** An item is new, or is this now. */
  item({ turn, item }) {
    if (this.live?.number !== turn) return;
    const { places, items, now } = this.live;
    const node = running(item);
    const known = places.get(item.place);
    places.set(item.place, node);
    if (known) known.replaceWith(node);
    else items.insertBefore(node, this.after(item.place));
    now.textContent = visible(doing(item));
    this.follow();
  }

  /** The first node of a later item. */
  after(place) {
    const later = [...this.live.places].filter(([other]) => other > place).sort(([one], [other]) => one - other);
    return later[0]?.[1] ?? null;
  }

  text({ turn, place, text }) {
    if (this.live?.number !== turn) return;
    this.live.places.get(place)?.append(visible(text));
    this.follow();
  }

  doing(told) {
    if (told.what === "asking") document.dispatchEvent(new CustomEvent("approvals"));
    else if (this.live?.number === told.turn) this.live.now.textContent = "Thinking";
  }

  /** What has ended while nobody told this page. */
  async sync(session) {
    if (this.syncing) return;
    const numbers = [...this.turns.keys()];
    const waiting = numbers.some((number) => this.waits(number));
    const newest = Math.max(0, ...numbers.filter((number) => !this.waits(number)));
    const runs = session.status === "running";
    if (!waiting && (runs || (!this.live && newest >= session.lastTurn))) return;
    this.syncing = true;
    try {
      if (this.live && !runs) await this.ended(this.live.number);
      if (waiting || newest < session.lastTurn) await this.page();
    } finally {
      this.syncing = false;
    }
  }

  async ended(number) {
    try {
      const { turn } = await get(`${of(this.name)}/turns/${number}`);
      if (this.live?.number === number) { this.live.view.remove(); this.live = null; }
      this.put(turn);
      this.follow();
    } catch (error) {
      tell(error.message);
    }
  }

  /** Keeps the end in view for who looks at it. */
  follow() {
    const place = document.scrollingElement;
    if (place.scrollHeight - place.scrollTop - place.clientHeight < 300) place.scrollTop = place.scrollHeight;
  }

  async send() {
    const prompt = this.prompt.value.trim();
    if (!prompt) return;
    const runs = this.session?.status === "running";
    const sent = await this.act(() => post(`${of(this.name)}/${runs ? "steer" : "turns"}`, { prompt }));
    if (sent) this.prompt.value = "";
  }

  async fork(turn) {
    const forked = await this.act(() => post(`${of(this.name)}/fork`, { turn }));
    if (forked) location.hash = `#/s/${encodeURIComponent(forked.session.name)}`;
  }

  async delete() {
    if (!await confirmed("Delete this session?", `Session ${this.name} and the record of its ${this.session.turns} turns are removed. Codex keeps its own thread.`, "Delete")) return;
    if (await this.act(() => remove(of(this.name)))) location.hash = "#/";
  }

  async act(work) {
    try {
      const done = await work();
      tell("");
      return done ?? true;
    } catch (error) {
      tell(error.message);
      return null;
    }
  }

  async export(kind) {
    const turns = [];
    let before = null;
    do {
      const page = await get(`${of(this.name)}/turns${before ? `?before=${before}` : ""}`);
      turns.unshift(...page.turns);
      before = page.before;
    } while (before);
    for (const [index, turn] of turns.entries()) {
      if (turn.cut || (turn.folded && kind === "json")) turns[index] = (await get(`${of(this.name)}/turns/${turn.number}`)).turn;
    }
    const text = kind === "json"
      ? JSON.stringify({ session: this.session, turns: turns.map(({ html, items, ...turn }) => ({ ...turn, items: items.map(({ html: _, ...item }) => item) })) }, null, 2)
      : [`# ${this.session.name}`, ...turns.flatMap((turn) => [`## Turn ${turn.number}`, `**Asked:** ${turn.prompt}`,
        ...turn.items.filter((item) => item.type === "message").map((item) => item.text), turn.response])].join("\n\n");
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    el("a", { href: url, download: `${this.name}.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

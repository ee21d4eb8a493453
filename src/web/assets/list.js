// The list of sessions: searched, filtered, pinned, and loaded as far as somebody scrolls.
import { get, of } from "./api.js";
import { ago, amount, button, el, renew, tell, visible } from "./dom.js";

const PINS = "codex-mcp-pins";
const pins = new Set(JSON.parse(localStorage.getItem(PINS) ?? "[]"));

export class List {
  constructor(place) {
    this.place = place;
    this.sessions = [];
    this.next = null;
    this.asking = new Set();
    this.current = null;
    this.search = el("input", { type: "search", id: "search", placeholder: "Names, prompts and answers", "aria-label": "Search sessions", input: () => this.later() });
    const filters = [["", "All"], ["running", "Running"], ["asks", "Asking"], ["failed", "Failed"], ["pinned", "Pinned"]];
    this.filter = el("select", { "aria-label": "Show", change: () => this.load() },
      filters.map(([value, text]) => el("option", { value }, text)));
    this.directory = el("select", { "aria-label": "Directory", change: () => this.load() }, el("option", { value: "" }, "Any directory"));
    this.day = el("input", { type: "date", "aria-label": "Last used on", change: () => this.load() });
    this.items = el("ul", { class: "sessions" });
    this.rest = el("p", { class: "quiet" });
    this.more = button("More", () => this.load(true), { class: "more", hidden: true });
    place.replaceChildren(el("div", { class: "tools" }, this.search, el("div", { class: "row" }, this.filter, this.directory, this.day)), this.items, this.rest, this.more);
    new IntersectionObserver((seen) => { if (seen[0].isIntersecting && this.next) this.load(true); }).observe(this.more);
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), 200);
  }

  /** Reads the first page again, and keeps what somebody has scrolled to. */
  async refresh() {
    const before = this.sessions;
    if (before.length <= 60) return this.load();
    const next = this.next;
    await this.load();
    const there = new Set(this.sessions.map((session) => session.name));
    this.sessions = [...this.sessions, ...before.slice(60).filter((session) => !there.has(session.name))];
    this.next = next;
    this.show();
  }

  async load(more = false) {
    if (more && this.loading) return;
    this.loading = true;
    const query = new URLSearchParams({ limit: "60" });
    if (this.search.value.trim()) query.set("search", this.search.value.trim());
    if (this.directory.value) query.set("directory", this.directory.value);
    if (["running", "failed"].includes(this.filter.value)) query.set("status", this.filter.value);
    if (this.day.value) {
      const [year, month, day] = this.day.value.split("-").map(Number);
      query.set("since", new Date(year, month - 1, day).toISOString());
      query.set("before", new Date(year, month - 1, day + 1).toISOString());
    }
    if (more && this.next) query.set("cursor", this.next);
    const asked = this.asked = {};
    try {
      const page = await get(`/sessions?${query}`);
      if (asked !== this.asked) return;
      this.sessions = more ? [...this.sessions, ...page.sessions] : page.sessions;
      this.next = page.next;
      this.queued = page.queued;
      await this.fetchWanted();
      if (asked !== this.asked) return;
      tell(page.damaged.length ? `Cannot be read: ${page.damaged.map(visible).join(", ")}` : "", "list");
      document.getElementById("logout").hidden = !page.mayLeave;
      this.show();
    } catch (error) {
      if (error.status !== 401) this.rest.textContent = error.message;
    } finally {
      this.loading = false;
    }
  }

  /** Of the sessions that are wanted by name, those that no page had yet. */
  async fetchWanted() {
    const wanted = { pinned: pins, asks: this.asking }[this.filter.value];
    if (!wanted) return;
    const known = new Set(this.sessions.map((session) => session.name));
    const missing = [...wanted].filter((name) => !known.has(name)).slice(0, 100);
    const found = await Promise.all(missing.map((name) => get(of(name)).then(({ session }) => session, () => null)));
    this.sessions = [...this.sessions, ...found.filter(Boolean)];
    this.next = null;
  }

  asks(approvals) {
    this.asking = new Set(approvals.map((approval) => approval.session));
    if (this.filter.value === "asks") this.load(); else this.show();
  }

  matches(session) {
    switch (this.filter.value) {
      case "running": return session.status === "running";
      case "asks": return this.asking.has(session.name);
      case "failed": return session.status === "failed";
      case "pinned": return pins.has(session.name);
      default: return true;
    }
  }

  show() {
    const shown = this.sessions.filter((session) => this.matches(session));
    shown.sort((one, other) => pins.has(other.name) - pins.has(one.name));
    this.put(shown.map((session) => this.item(session)));
    this.more.hidden = !this.next;
    this.rest.textContent = shown.length ? "" : this.search.value || this.filter.value || this.directory.value || this.day.value
      ? "No session is like that."
      : "There is no session yet. An MCP client's first call makes one, and so does: codex-mcp-server codex \"…\"";
    const known = new Set([...this.directory.options].map((option) => option.value));
    for (const { directory } of this.sessions) {
      if (directory && !known.has(directory)) {
        known.add(directory);
        this.directory.append(el("option", { value: directory }, visible(directory)));
      }
    }
  }

  /** Shows these items. Where they are the same sessions as before, links and buttons stay: somebody may be clicking one. */
  put(items) {
    const there = [...this.items.children];
    if (there.length === items.length && items.every((item, at) => item.dataset.name === there[at].dataset.name)) {
      return items.forEach((item, at) => renew(there[at], item));
    }
    const focused = this.items.contains(document.activeElement) ? document.activeElement.getAttribute("href") ?? document.activeElement.getAttribute("aria-label") : null;
    this.items.replaceChildren(...items);
    if (focused) [...this.items.querySelectorAll("a, button")].find((it) => it.getAttribute("href") === focused || it.getAttribute("aria-label") === focused)?.focus();
  }

  item(session) {
    const { name } = session;
    const asks = this.asking.has(name);
    const state = asks ? "asks" : session.status;
    const waits = this.queued?.[name];
    const facts = [`${session.turns} ${session.turns === 1 ? "turn" : "turns"}`, waits ? `${waits} waiting` : null, session.model, `${amount(session.usage.totalTokens)} tokens`, session.machine].filter(Boolean);
    const pin = button(pins.has(name) ? "★" : "☆", () => {
      if (!pins.delete(name)) pins.add(name);
      localStorage.setItem(PINS, JSON.stringify([...pins]));
      this.show();
    }, { class: "pin", "aria-label": `Pin ${name}`, "aria-pressed": String(pins.has(name)) });
    return el("li", { class: name === this.current ? "current" : "", "data-name": name },
      el("a", { href: `#/s/${encodeURIComponent(name)}`, "aria-current": name === this.current ? "page" : null },
        el("span", { class: "name" }, visible(session.title ?? name)),
        el("span", { class: `state ${state}` }, state),
        el("span", { class: "facts" }, visible(facts.join(" · "))),
        el("span", { class: "facts" }, `${ago(session.lastUsedAt)}${session.directory ? ` · ${visible(session.directory)}` : ""}`)),
      pin);
  }

  clear() {
    this.sessions = [];
    this.next = null;
    this.items.replaceChildren();
    this.more.hidden = true;
    this.rest.textContent = "";
  }

  mark(name) {
    this.current = name;
    this.show();
  }

  /** The session above or below the one that is open. */
  step(by) {
    const links = [...this.items.querySelectorAll("a")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    const link = links[Math.min(links.length - 1, Math.max(0, at + by))];
    if (link) location.hash = link.getAttribute("href");
  }
}

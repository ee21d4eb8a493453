// Where a session comes from, and what was forked from it.
import { get, of } from "./api.js";
import { el, visible } from "./dom.js";

/** The tree of forks that a session is in. */
export async function tree(name) {
  const ancestors = [];
  let at = await get(of(name)).then(({ session }) => session);
  const known = new Map([[at.name, at]]);
  for (let from = at.forkedFrom; from && ancestors.length < 50; from = known.get(from.session)?.forkedFrom) {
    const found = known.get(from.session) ?? await get(of(from.session)).then(({ session }) => session).catch(() => null);
    ancestors.unshift(found ?? { name: from.session, gone: true });
    if (!found || known.has(found.name)) break;
    known.set(found.name, found);
  }
  let next = null;
  for (let page = 0; page < 10; page += 1) {
    const listing = await get(`/sessions?limit=200${next ? `&cursor=${encodeURIComponent(next)}` : ""}`);
    for (const session of listing.sessions) known.set(session.name, session);
    next = listing.next;
    if (!next) break;
  }
  const children = (parent) => [...known.values()].filter((session) => session.forkedFrom?.session === parent);
  const node = (session, depth, seen = new Set()) => {
    if (seen.has(session.name) || depth > 50) return "";
    seen.add(session.name);
    const below = children(session.name);
    const label = session.gone ? `${visible(session.name)} (gone)` : `${visible(session.name)}${session.forkedFrom ? `, from turn ${session.forkedFrom.turn}` : ""} (${session.turns} turns)`;
    return el("li", {}, session.gone ? label : el("a", { href: `#/s/${encodeURIComponent(session.name)}`, "aria-current": session.name === name ? "page" : null }, label),
      below.length ? el("ul", {}, below.map((child) => node(child, depth + 1, seen))) : "");
  };
  return el("div", { class: "tree" }, el("h2", {}, "Fork tree"), el("ul", {}, node(ancestors[0] ?? at, 0)),
    next ? el("p", { class: "quiet" }, "Forks among the newest 2,000 sessions are shown.") : "");
}

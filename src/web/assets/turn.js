// One turn: what was asked, what happened in order, what was answered.
import hljs from "./highlight.js";
import { get, of } from "./api.js";
import { amount, button, el, moment, visible } from "./dom.js";
import { inOrder } from "./items.js";

/** What was said, as the server's safe HTML, with its code in colours. */
function said(kind, text, html) {
  const place = el("div", { class: kind });
  if (!html) {
    place.append(el("pre", { class: "plain" }, visible(text)));
    return place;
  }
  place.innerHTML = html;
  for (const link of place.querySelectorAll("a")) {
    if (link.getAttribute("href") === "#") link.replaceWith(...link.childNodes);
    else { link.rel = "noopener noreferrer"; link.target = "_blank"; }
  }
  for (const box of place.querySelectorAll("input")) { box.disabled = true; box.setAttribute("aria-label", "task"); }
  for (const code of place.querySelectorAll("pre code")) {
    const language = code.className.replace("language-", "");
    if (code.textContent.length < 50000 && hljs.getLanguage(language)) {
      code.innerHTML = hljs.highlight(code.textContent, { language }).value;
    }
    code.parentElement.tabIndex = 0;
  }
  return place;
}

function warnings(all) {
  return all?.length ? el("ul", { class: "warnings" }, all.map((warning) => el("li", {}, visible(warning)))) : null;
}

function findings(details) {
  if (!details.findings?.length) return null;
  return el("ul", { class: "findings" }, details.findings.map((finding) => el("li", { class: finding.severity },
    el("strong", {}, `${visible(finding.severity)}: ${visible(finding.title)}`), " ",
    el("code", {}, `${visible(finding.file)}:${finding.lineStart}`),
    el("p", {}, visible(finding.body)), finding.recommendation ? el("p", {}, visible(finding.recommendation)) : null)));
}

function facts(details) {
  const ran = [
    details.model, details.reasoningEffort, details.sandbox, details.approvalPolicy, details.workingDirectory,
    details.continuity, details.movedFrom ? `moved from ${details.movedFrom}` : null,
    details.usage ? `${amount(details.usage.totalTokens)} tokens` : null,
    details.durationMs ? `${(details.durationMs / 1000).toFixed(1)} s` : null,
    details.codexVersion ? `Codex ${details.codexVersion}` : null,
  ].filter(Boolean);
  return el("p", { class: "facts" }, visible(ran.join(" · ")));
}

/** A whole turn. `acts` may fork from it. */
export function turnView(session, turn, acts) {
  const { number, details } = turn;
  const failure = details.failure ? el("p", { class: "failure", role: "alert" }, visible(details.failure.message)) : null;
  const waits = turn.status === "queued";
  const tools = el("div", { class: "actions" },
    waits ? null : button("Copy answer", () => navigator.clipboard.writeText(turn.response)),
    acts.fork && !waits ? button("Fork from here", () => acts.fork(number)) : null,
    el("a", { href: `#/s/${encodeURIComponent(session)}/${number}`, class: "link" }, "Link"));
  // What is long comes when it is unfolded.
  const whole = turn.folded ? async () => (await get(`${of(session)}/turns/${number}`)).turn.items : async () => turn.items;
  const answer = () => [findings(details), said("answer", turn.response, turn.html)];
  const view = el("article", { id: `turn-${number}`, class: `turn ${turn.status}`, "aria-label": `Turn ${number}` },
    el("h3", {}, `Turn ${number} `, el("span", { class: `state ${turn.status}` }, turn.status), " ", moment(turn.at)),
    el("div", { class: "prompt" }, el("pre", { tabindex: "0", "aria-label": "Prompt" }, visible(turn.prompt))),
    inOrder(turn.items, whole, (item) => said("said", item.text, item.html), answer), failure, warnings(details.warnings), facts(details), tools);
  if (turn.cut) {
    const more = button("Show the whole turn", async () => {
      const { turn: all } = await get(`${of(session)}/turns/${number}`);
      view.replaceWith(turnView(session, all, acts));
    });
    tools.prepend(more);
  }
  return view;
}

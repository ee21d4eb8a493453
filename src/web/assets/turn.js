// One turn: what was asked, what was done, what was answered.
import hljs from "./highlight.js";
import { get, of } from "./api.js";
import { amount, button, el, moment, visible } from "./dom.js";

/** An answer's safe HTML from the server, with its code in colours. */
export function answer(turn) {
  const place = el("div", { class: "answer" });
  if (!turn.html) {
    place.append(el("pre", { class: "plain" }, visible(turn.response)));
    return place;
  }
  place.innerHTML = turn.html;
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

/** The commands of a turn; `trace` gives what they printed, once somebody wants to see it. */
export function commands(runs, trace = null) {
  if (!runs?.length) return null;
  const all = runs.map((run) => el("li", { class: run.exitCode === 0 ? "" : "bad" },
    el("code", {}, visible(run.command)), " ",
    el("span", { class: "exit" }, run.exitCode === undefined ? "not run to its end" : `exit ${run.exitCode}`)));
  const box = el("details", { class: "commands" },
    el("summary", {}, `${runs.length === 1 ? "1 command" : `${runs.length} commands`}${failed(runs)}`),
    el("ul", {}, all));
  return unfolding(box, trace, ({ outputs = [] }) => all.forEach((item, at) => {
    if (outputs[at]) item.append(el("pre", { class: "output", tabindex: "0", "aria-label": `Output of command ${at + 1}` }, visible(outputs[at])));
  }));
}

function failed(runs) {
  const count = runs.filter((run) => run.exitCode !== 0).length;
  return count ? `, ${count} failed` : "";
}

/** The files that a turn changed; `trace` gives how. */
export function files(changes, trace = null) {
  if (!changes?.length) return null;
  const sign = { add: "+", delete: "−", update: "±" };
  const all = changes.map((change) => el("li", {}, el("code", {}, `${sign[change.kind] ?? "±"} ${visible(change.path)}`)));
  const box = el("details", { class: "files" },
    el("summary", {}, changes.length === 1 ? "1 file changed" : `${changes.length} files changed`),
    el("ul", {}, all));
  return unfolding(box, trace, ({ diffs = [] }) => all.forEach((item, at) => {
    if (diffs[at]) item.append(diff(diffs[at], changes[at]));
  }));
}

/** Fills a box the first time that it is opened. */
function unfolding(box, trace, fill) {
  if (!trace) return box;
  let filled = false;
  box.addEventListener("toggle", async () => {
    if (!box.open || filled) return;
    filled = true;
    try {
      fill(await trace());
    } catch (error) {
      filled = false;
      box.append(el("p", { class: "failure", role: "alert" }, `${error.message} Close and open it to try again.`));
    }
  });
  return box;
}

/** A diff by lines. Of a new or a deleted file Codex gives the content alone. */
function diff(text, change) {
  const plain = change.kind === "add" ? "added" : change.kind === "delete" ? "removed" : null;
  const kind = (line) => plain ?? (line.startsWith("@@") ? "place" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "");
  const sign = { added: "+", removed: "-" };
  return el("pre", { class: "diff", tabindex: "0", "aria-label": `Changes of ${change.path}` }, text.replace(/\n$/, "").split("\n")
    .map((line) => el("span", { class: kind(line) }, `${plain ? sign[plain] : ""}${visible(line)}\n`)));
}

/** What Codex asked in a turn, and who said what. */
function decisions(all) {
  if (!all?.length) return null;
  const words = { accept: "accepted", acceptForSession: "accepted for the session", decline: "declined", cancel: "declined, and the turn stopped" };
  return el("ul", { class: "decisions" }, all.map((one) => el("li", {},
    `Codex${one.agent ? ` (${visible(one.agent)})` : ""} asked ${visible(one.asked)}: ${words[one.decision] ?? visible(one.decision)} by ${visible(one.by ?? "nobody")}, `, moment(one.at))));
}

export function warnings(all) {
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
  const tools = el("div", { class: "actions" },
    button("Copy answer", () => navigator.clipboard.writeText(turn.response)),
    acts.fork ? button("Fork from here", () => acts.fork(number)) : null,
    el("a", { href: `#/s/${encodeURIComponent(session)}/${number}`, class: "link" }, "Link"));
  const trace = details.trace ? async () => details.trace
    : details.traced ? async () => (await get(`${of(session)}/turns/${number}`)).turn.details.trace ?? {} : null;
  const view = el("article", { id: `turn-${number}`, class: `turn ${turn.status}`, "aria-label": `Turn ${number}` },
    el("h3", {}, `Turn ${number} `, el("span", { class: `state ${turn.status}` }, turn.status), " ", moment(turn.at)),
    el("div", { class: "prompt" }, el("pre", { tabindex: "0", "aria-label": "Prompt" }, visible(turn.prompt))),
    commands(details.commands, trace), files(details.filesChanged, trace), decisions(details.decisions), findings(details), answer(turn),
    failure, warnings(details.warnings), facts(details), tools);
  if (turn.cut) {
    const whole = button("Show the whole turn", async () => {
      const { turn: all } = await get(`${of(session)}/turns/${number}`);
      view.replaceWith(turnView(session, all, acts));
    });
    tools.prepend(whole);
  }
  return view;
}

// What happens in a turn, item by item.
import { el, moment, visible } from "./dom.js";

/** A command as a person would type it, without the shell that runs it. */
function typed(command) {
  const [, , inner] = command.match(/^(?:\S*\/)?(?:ba|z)?sh -l?c (['"]?)([\s\S]*)\1$/) ?? [];
  return visible(inner ?? command);
}

const over = (item) => item.state !== "running";

function exit(item) {
  const how = { declined: "declined", running: "not run to its end" };
  return el("span", { class: "exit" }, item.exitCode === undefined ? how[item.state] ?? "no exit code" : `exit ${item.exitCode}`);
}

/** Commands one after the other; `whole` gives all items once what was printed is unfolded. */
function commands(runs, whole) {
  const all = runs.map((run) => el("li", { class: run.exitCode === 0 ? "" : "bad" }, el("code", { title: visible(run.command) }, typed(run.command)), " ", exit(run)));
  const failed = runs.filter((run) => run.exitCode !== 0).length;
  const box = el("details", { class: "commands" },
    el("summary", {}, `${runs.length === 1 ? "1 command" : `${runs.length} commands`}${failed ? `, ${failed} failed` : ""}`),
    el("ul", {}, all));
  return unfolding(box, whole, (items) => runs.forEach((run, at) => {
    const { output } = items.find((item) => item.place === run.place) ?? {};
    if (output) all[at].append(el("pre", { class: "output", tabindex: "0", "aria-label": `Output of command ${at + 1}` }, visible(output)));
  }));
}

/** Changes of files one after the other; `whole` gives how they were changed. */
function files(items, whole) {
  const sign = { add: "+", delete: "−", update: "±" };
  const each = items.flatMap((item) => item.changes.map((change, at) => ({ ...change, at, place: item.place, state: item.state })));
  const lines = each.map((change) => el("li", { class: change.state === "done" ? "" : "bad" },
    el("code", {}, `${sign[change.kind] ?? "±"} ${visible(change.path)}`), change.state === "done" ? "" : ` ${change.state === "declined" ? "declined" : "not changed"}`));
  const changed = each.filter((change) => change.state === "done").length;
  const box = el("details", { class: "files" },
    el("summary", {}, changed === 1 ? "1 file changed" : `${changed} files changed`), el("ul", {}, lines));
  return unfolding(box, whole, (all) => each.forEach((change, at) => {
    const { diff: text } = all.find((item) => item.place === change.place)?.changes?.[change.at] ?? {};
    if (text) lines[at].append(diff(text, change));
  }));
}

/** Fills a box the first time that it is opened. */
function unfolding(box, whole, fill) {
  let filled = false;
  box.addEventListener("toggle", async () => {
    if (!box.open || filled) return;
    filled = true;
    try {
      fill(await whole());
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

/** What Codex asked, and who said what. */
function decision(item) {
  const words = { accept: "accepted", acceptForSession: "accepted for the session", decline: "declined", cancel: "declined, and the turn stopped" };
  const told = item.decision ? `${words[item.decision] ?? visible(item.decision)} by ${visible(item.by ?? "nobody")}, ` : "no answer, ";
  return el("p", { class: "decisions" }, `Codex${item.agent ? ` (${visible(item.agent)})` : ""} asked ${visible(item.asked)}: ${told}`, moment(item.at));
}

function plan(item) {
  const sign = { completed: "✓", inProgress: "▸" };
  return el("ul", { class: "plan", "aria-label": "Plan" }, item.steps.map((step) => el("li", { class: step.status }, `${sign[step.status] ?? "○"} ${visible(step.step)}`)));
}

/** An item that is a line by itself. */
function line(item) {
  const ended = over(item) ? item.state === "done" ? "" : ` (${item.state})` : "";
  const text = {
    tool: () => `Called ${item.server}.${item.tool}${ended}`,
    agent: () => `Sub-agent: ${item.tool}${ended}`,
    search: () => `Searched the web${item.query ? ` for ${item.query}` : ""}`,
    warning: () => item.message,
    retry: () => `Tried again${item.times > 1 ? ` ${item.times} times` : ""}: ${item.reason}`,
    compaction: () => "Summed up its context to make room",
    cut: () => `${item.items} more things that are not kept`,
  }[item.type];
  if (item.type === "approval") return decision(item);
  if (item.type === "plan") return plan(item);
  if (item.type === "steer") return el("div", { class: "prompt" }, el("pre", { tabindex: "0", "aria-label": "Told while it ran" }, visible(item.prompt)));
  return text ? el("p", { class: item.type === "warning" || item.type === "retry" ? "step warnings" : "step" }, visible(text())) : null;
}

/** The items of a turn that is over, commands and files that follow each other together. */
export function inOrder(items, whole, said, answer) {
  const parts = [];
  let answered = false;
  for (let at = 0; at < items.length; at += 1) {
    const { type } = items[at];
    if (type === "command" || type === "files") {
      let end = at + 1;
      while (items[end]?.type === type) end += 1;
      parts.push((type === "command" ? commands : files)(items.slice(at, end), whole));
      at = end - 1;
    } else if (type === "answer") {
      answered = true;
      parts.push(...answer());
    } else parts.push(type === "message" ? said(items[at]) : line(items[at]));
  }
  return answered ? parts : [...parts, ...answer()];
}

/** One item while its turn runs. */
export function running(item) {
  if (item.type === "message") return el("pre", { class: "plain streaming" }, visible(item.text));
  if (item.type === "command") {
    return el("p", { class: over(item) && item.exitCode !== 0 ? "step bad" : "step" }, el("code", { title: visible(item.command) }, typed(item.command)), " ",
      over(item) ? exit(item) : "");
  }
  if (item.type === "files") return over(item) ? files([item], async () => [item]) : el("span");
  return line(item) ?? el("span");
}

/** What a turn does, as the item says that changed last. */
export function doing(item) {
  if (item.type === "plan") {
    const done = item.steps.filter((step) => step.status === "completed").length;
    const next = item.steps.find((step) => step.status === "inProgress") ?? item.steps.find((step) => step.status === "pending");
    return next ? `Step ${done + 1} of ${item.steps.length}: ${next.step}` : "";
  }
  if (item.type === "retry") return `Trying again: ${item.reason}`;
  if (item.type === "search") return `Searching the web${item.query ? ` for ${item.query}` : ""}`;
  if (item.state !== "running") return item.type === "message" ? "Writing" : "";
  return { command: () => `Running ${typed(item.command)}`, files: () => "Changing files", tool: () => `Calling ${item.server}.${item.tool}`, agent: () => `Sub-agent: ${item.tool}` }[item.type]?.() ?? "";
}

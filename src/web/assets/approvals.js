// What Codex asks, and a person's answer. Each is answered once, wherever.
import { get, post } from "./api.js";
import { ago, button, el, tell, visible } from "./dom.js";

const WORDS = { accept: "Yes, this once", acceptForSession: "Yes, for this session", decline: "No", cancel: "No, and stop the turn" };

export async function open() {
  return get("/approvals");
}

/** The inbox, or the approvals of one session. */
export function inbox({ approvals, mayRun }, changed, there = new Map()) {
  if (!approvals.length) {
    return el("div", { class: "empty" }, el("h2", {}, "Approvals"), el("p", {}, "Nothing is asked. What Codex asks before it acts appears here, from all sessions."));
  }
  return el("div", {}, el("h2", {}, "Approvals"), approvals.map((approval) => there.get(approval.id) ?? card(approval, mayRun, changed)));
}

export function card(approval, mayRun, changed) {
  const { kind, lines, fields } = read(approval.subject);
  const inputs = new Map();
  const form = fields.map((field) => {
    const input = field.options.length && !field.free
      ? el("select", {}, field.options.map((option) => el("option", { value: option }, visible(option))))
      : el("input", { type: field.secret ? "password" : field.type ?? "text" });
    inputs.set(field.id, input);
    return el("label", {}, visible(field.question), input);
  });
  const left = Math.max(0, Math.round((Date.parse(approval.deadline) - Date.now()) / 1000));
  const place = el("article", { class: "approval", "data-id": approval.id, "aria-label": `${kind} in ${approval.session}` });
  const answer = async (decision) => {
    for (const it of place.querySelectorAll("button")) it.disabled = true;
    const content = {};
    if (decision === "accept") for (const [id, input] of inputs) content[id] = value(input);
    try {
      await post(`/approvals/${encodeURIComponent(approval.id)}`, { decision, content });
      tell("");
    } catch (error) {
      tell(error.message);
    }
    changed();
  };
  place.append(
    el("h3", {}, kind, " ", el("a", { href: `#/s/${encodeURIComponent(approval.session)}` }, visible(approval.session)), ` turn ${approval.turn}`),
    ...lines, ...form,
    el("p", { class: "facts" }, `Asked ${ago(approval.askedAt)}; declined by itself in ${left > 90 ? `${Math.round(left / 60)} min` : `${left} s`}`),
    mayRun ? el("div", { class: "actions" }, approval.choices.map((choice) => button(WORDS[choice] ?? choice, () => answer(choice),
      { class: choice.startsWith("accept") ? "primary" : choice === "cancel" ? "danger" : "", "data-decision": choice }))) : "");
  return place;
}

function value(input) {
  if (input.type === "checkbox") return input.checked;
  return input.type === "number" ? Number(input.value) : input.value;
}

function read(subject) {
  const [name, what] = Object.entries(subject)[0];
  const code = (text) => el("pre", { tabindex: "0" }, visible(text));
  const why = (reason) => reason ? [el("p", {}, `Reason: ${visible(reason)}`)] : [];
  switch (name) {
    case "Command": return { kind: "Run a command", fields: [], lines: [code(what.command ?? "(it does not say which)"), what.cwd ? el("p", { class: "facts" }, `In ${visible(what.cwd)}`) : "", ...why(what.reason)] };
    case "Files": return { kind: "Change files", fields: [], lines: [code(what.paths.join("\n") || "(it does not say which)"), what.root ? el("p", {}, `And write below ${visible(what.root)} from now on`) : "", ...why(what.reason)] };
    case "Permissions": return { kind: "More permissions", fields: [], lines: [code(what.wanted), ...why(what.reason)] };
    case "Input": return { kind: "A question", lines: [], fields: what };
    case "Link": return { kind: "Open a page", fields: [], lines: [el("p", {}, visible(what.message)), code(what.url)] };
    case "Form": {
      const properties = Object.entries(what.schema?.properties ?? {});
      const fields = properties.map(([id, field]) => ({ id, question: field.title ?? field.description ?? id, options: field.enum ?? [], free: false,
        type: field.type === "boolean" ? "checkbox" : ["number", "integer"].includes(field.type) ? "number" : "text" }));
      return { kind: `${visible(what.server)} asks`, lines: [el("p", {}, visible(what.message))], fields };
    }
    default: return { kind: visible(name), fields: [], lines: [code(JSON.stringify(what, null, 2))] };
  }
}

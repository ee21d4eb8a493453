// Elements and words. Whatever comes from models, commands or people is only ever put in as text.

/** Makes an element; attributes that are functions are listeners, `false` and `null` are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Makes a node like another one, and keeps every part that is there in both: whoever is clicking it still does. The parts
 * keep their own handlers.
 */
export function renew(node, other) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.nodeValue !== other.nodeValue) node.nodeValue = other.nodeValue;
    return;
  }
  for (const name of new Set([...node.getAttributeNames(), ...other.getAttributeNames()])) {
    if (other.hasAttribute(name)) node.setAttribute(name, other.getAttribute(name));
    else node.removeAttribute(name);
  }
  const [parts, others] = [[...node.childNodes], [...other.childNodes]];
  if (parts.length === others.length && parts.every((part, at) => part.nodeName === others[at].nodeName)) {
    parts.forEach((part, at) => renew(part, others[at]));
  } else node.replaceChildren(...others);
}

/** An element of a drawing. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** Text in which nothing can hide: control characters, and what changes the direction of text, are shown. */
export function visible(text) {
  return String(text ?? "").replaceAll("\r\n", "\n")
    .replace(HIDDEN, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
}

export function ago(text, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(text)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export function moment(text) {
  return el("time", { datetime: text, title: new Date(text).toLocaleString() }, ago(text));
}

export function amount(number) {
  if (number >= 1e6) return `${(number / 1e6).toFixed(1)} M`;
  if (number >= 1e4) return `${Math.round(number / 1e3)} k`;
  return String(number ?? 0);
}

export function button(text, act, attributes = {}) {
  return el("button", { type: "button", click: act, ...attributes }, text);
}

/** Asks before something that cannot be undone. */
export function confirmed(title, text, yes) {
  const dialog = document.getElementById("dialog");
  return new Promise((resolve) => {
    const done = (answer) => () => { dialog.close(); resolve(answer); };
    dialog.replaceChildren(
      el("h2", { id: "dialog-title" }, title), el("p", {}, text),
      el("div", { class: "actions" },
        button("Cancel", done(false)), button(yes, done(true), { class: "danger" })));
    dialog.addEventListener("cancel", () => resolve(false), { once: true });
    dialog.showModal();
  });
}

const told = new Map();

/** Says something that needs no answer; each source has its own place, and takes back only its own words. */
export function tell(text, source = "act") {
  if (text) told.set(source, text); else told.delete(source);
  const trouble = document.getElementById("trouble");
  trouble.hidden = told.size === 0;
  trouble.textContent = [...told.values()].join(" ");
}

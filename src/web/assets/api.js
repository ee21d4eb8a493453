// The JSON API of docs/api.md.

export class ApiError extends Error {
  constructor(status, said) {
    super(`${said.message} ${said.next ?? ""}`.trim());
    this.status = status;
    this.code = said.code ?? said.error;
  }
}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: method === "GET" ? {} : { "content-type": "application/json", "x-codex-mcp": "1" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(30000),
    });
  } catch {
    throw new ApiError(0, { code: "away", message: "The server does not answer.", next: "It is tried again." });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 && path !== "/ui/login") document.dispatchEvent(new CustomEvent("login"));
  const unknown = { message: `The server answered with ${response.status}.` };
  throw new ApiError(response.status, answer.message ? answer : { ...unknown, ...answer, message: answer.error_description ?? unknown.message });
}

export const get = (path) => call("GET", `/api/v1${path}`);
export const post = (path, body = {}) => call("POST", `/api/v1${path}`, body);
export const remove = (path) => call("DELETE", `/api/v1${path}`);
export const login = (token) => call("POST", "/ui/login", { token });
export const logout = () => call("POST", "/ui/logout", {});
export const of = (name) => `/sessions/${encodeURIComponent(name)}`;

/** Listens to events. Returns what ends that. The browser connects again by itself, and says what it had. */
export function listen(path, handlers, state = () => {}) {
  const source = new EventSource(`/api/v1${path}`);
  source.addEventListener("open", () => state(true));
  let again;
  source.addEventListener("error", () => {
    state(false);
    // After an answer that is no stream it would not try again.
    if (source.readyState === EventSource.CLOSED) again = setTimeout(() => document.dispatchEvent(new CustomEvent("again")), 2000);
  });
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  return () => { clearTimeout(again); source.close(); };
}

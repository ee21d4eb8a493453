// A TypeScript SDK that logs in by itself: node authorized.mjs v1|v2 FOLDER MODE URL NAME. Prints one JSON line per step.
import { createRequire } from "node:module";

const [version, folder, mode, url, login] = process.argv.slice(2);
const { resolve } = createRequire(`${folder}/`);
const name = { v1: "@modelcontextprotocol/sdk", v2: "@modelcontextprotocol/client" }[version];
const load = (path) => import(resolve(`${name}${path}`));
const { Client } = await load(version === "v1" ? "/client/index.js" : "");
const { StreamableHTTPClientTransport } = await load(version === "v1" ? "/client/streamableHttp.js" : "");
const { UnauthorizedError } = await load(version === "v1" ? "/client/auth.js" : "");

const say = (step, more) => console.log(JSON.stringify({ step, ...more }));
const back = "http://127.0.0.1:9/back";

// A person at a browser: logs in, agrees, and is sent back.
async function browse(address) {
  const cookies = new Map();
  let request = {};
  for (let step = 0; step < 20; step++) {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const page = await fetch(address, { ...request, redirect: "manual", headers: { ...request.headers, cookie } });
    for (const line of page.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const next = page.headers.get("location");
    if (next?.startsWith(back)) return new URL(next).searchParams;
    if (next) {
      [address, request] = [new URL(next, address).href, {}];
      continue;
    }
    const html = await page.text();
    const form = /<form[^>]*action="([^"]+)"/.exec(html);
    const prompt = /name="prompt" value="([^"]+)"/.exec(html);
    if (!form || !prompt) throw new Error(`${page.status} ${address}: ${html.slice(0, 2000)}`);
    address = new URL(form[1], address).href;
    const body = new URLSearchParams({ prompt: prompt[1], login, password: "x" });
    request = { method: "POST", body };
  }
  throw new Error("no end of pages");
}

const kept = {};
let answer;
const authProvider = {
  redirectUrl: back,
  clientMetadata: {
    client_name: "sdk",
    redirect_uris: [back],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  redirectToAuthorization: async (address) => {
    say("asked", { scope: address.searchParams.get("scope"), resource: address.searchParams.get("resource") });
    answer = await browse(address.href);
  },
};

const options = version === "v1" ? {} : { versionNegotiation: { mode } };
const connect = async () => {
  const client = new Client({ name: "sdk", version: "1" }, options);
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
  try {
    await client.connect(transport);
    await client.listTools();
    return client;
  } catch (error) {
    if (!answer) throw error;
    say("refused", { known: error instanceof UnauthorizedError });
    await transport.finishAuth(version === "v1" ? answer.get("code") : answer);
    answer = undefined;
  }
};
const client = (await connect()) ?? (await connect());
for (const args of [{ prompt: "say one", sessionId: "s" }, { prompt: "history", sessionId: "s" }]) {
  const { isError, structuredContent } = await client.callTool({ name: "codex", arguments: args });
  say("called", { isError, structured: structuredContent });
}
await client.close();

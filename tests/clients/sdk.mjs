// A conversation by a TypeScript SDK: node sdk.mjs v1|v2 FOLDER MODE SERVER-AS-JSON. Prints one JSON line per call.
import { createRequire } from "node:module";

const [version, folder, mode, server] = process.argv.slice(2);
const { resolve } = createRequire(`${folder}/`);
const name = { v1: "@modelcontextprotocol/sdk", v2: "@modelcontextprotocol/client" }[version];
const load = (path) => import(resolve(`${name}${path}`));
const { Client } = await load(version === "v1" ? "/client/index.js" : "");
const { StdioClientTransport } = await load(version === "v1" ? "/client/stdio.js" : "/stdio");
const { StreamableHTTPClientTransport } = await load(version === "v1" ? "/client/streamableHttp.js" : "");

const options = version === "v1" ? {} : { versionNegotiation: { mode } };
const client = new Client({ name: "sdk", version: "1" }, options);
const { url, headers, ...command } = JSON.parse(server);
const transport = url
  ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  : new StdioClientTransport(command);
await client.connect(transport);
// It holds results against their schemas only if it has seen those.
await client.listTools();
const calls = [
  ["codex", { prompt: "say one", sessionId: "s" }],
  ["codex", { prompt: "history", sessionId: "s" }],
  ["listSessions", {}],
  ["getSession", { sessionId: "nope" }],
];
for (const [tool, args] of calls) {
  const { isError, content, structuredContent } = await client.callTool({ name: tool, arguments: args });
  console.log(JSON.stringify({ isError, text: content[0].text, structured: structuredContent }));
}
await client.close();

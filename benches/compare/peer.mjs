// A server on the TypeScript SDK with one tool, over Streamable HTTP without MCP sessions: node peer.mjs FOLDER. Prints its URL.
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/node_modules/@modelcontextprotocol/sdk/package.json`);
const express = require("express");
const load = (path) => import(require.resolve(`@modelcontextprotocol/sdk/${path}`));
const { McpServer } = await load("server/mcp.js");
const { StreamableHTTPServerTransport } = await load("server/streamableHttp.js");

const app = express();
app.use(express.json());
app.post("/mcp", async (request, response) => {
  const server = new McpServer({ name: "peer", version: "1" });
  server.registerTool("ping", { description: "Says that it is there." }, () => ({
    content: [{ type: "text", text: "pong" }],
  }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on("close", () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
const listening = app.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${listening.address().port}/mcp`);
});

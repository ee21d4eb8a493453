// An MCP server for Codex whose one tool asks the user for a name, by form or by link, and returns the answer.
import { createInterface } from "node:readline";

const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
let asking;

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params, result, error } = JSON.parse(line);
  if (method === "initialize") {
    const serverInfo = { name: "asker", version: "1" };
    send({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo } });
  } else if (method === "tools/list") {
    const annotations = { readOnlyHint: true };
    const inputSchema = { type: "object", properties: { link: { type: "boolean" } } };
    send({ id, result: { tools: [{ name: "ask", description: "Asks.", inputSchema, annotations }] } });
  } else if (method === "tools/call") {
    asking = id;
    const link = { mode: "url", message: "Open this", url: "https://example.com/x", elicitationId: "e1" };
    const name = { type: "string", title: "Name" };
    const requestedSchema = { type: "object", properties: { name }, required: ["name"] };
    const form = { mode: "form", message: "Who are you?", requestedSchema };
    send({ id: "q", method: "elicitation/create", params: params.arguments.link ? link : form });
  } else if (id === "q") {
    send({ id: asking, result: { content: [{ type: "text", text: JSON.stringify(result ?? error) }] } });
  } else if (id !== undefined) {
    send({ id, result: {} });
  }
});

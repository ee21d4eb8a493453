// Puts the binaries in place of the script that would start them. If that fails the script stays, and works.
const fs = require("node:fs");
const path = require("node:path");
const { native } = require("./native.js");

const put = (from, to) => {
  const fresh = `${to}.new`;
  fs.rmSync(fresh, { force: true });
  try {
    fs.linkSync(from, fresh);
  } catch {
    fs.copyFileSync(from, fresh);
  }
  fs.chmodSync(fresh, 0o755);
  fs.renameSync(fresh, to);
};

try {
  const folder = path.join(__dirname, "bin");
  const own = path.dirname(native());
  put(path.join(own, "codex-mcp-bridge"), path.join(folder, "codex-mcp-bridge"));
  put(path.join(own, "codex-mcp-server"), path.join(folder, "codex-mcp-server"));
} catch (error) {
  console.warn(`codex-mcp-server: ${error.message}; a Node process will start its binary`);
}

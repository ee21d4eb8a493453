// Puts the binary in place of the script that would start it. If that fails the script stays, and works.
const fs = require("node:fs");
const path = require("node:path");
const { native } = require("./native.js");

const script = path.join(__dirname, "bin", "codex-mcp-server");
const fresh = `${script}.new`;
try {
  fs.rmSync(fresh, { force: true });
  try {
    fs.linkSync(native(), fresh);
  } catch {
    fs.copyFileSync(native(), fresh);
  }
  fs.chmodSync(fresh, 0o755);
  fs.renameSync(fresh, script);
} catch (error) {
  console.warn(`codex-mcp-server: ${error.message}; a Node process will start its binary`);
}

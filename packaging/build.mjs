// Makes what is released out of built binaries:
//
//   node packaging/build.mjs BINARIES OUT
//
// BINARIES has a folder per target of targets.json (at least one) with both binaries in it. OUT gets an archive and
// an MCPB bundle per target, npm packages, server.json for the MCP registry, and SHA256SUMS. Nothing is
// downloaded and nothing is published.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.dirname(here);
const [binaries, out] = process.argv.slice(2).map((folder) => path.resolve(folder));
if (!out) {
  console.error("usage: node packaging/build.mjs BINARIES OUT");
  process.exit(2);
}

const NAME = "codex-mcp-server";
const manifest = fs.readFileSync(path.join(root, "Cargo.toml"), "utf8");
const said = (key) => manifest.match(new RegExp(`^${key} = "(.+)"$`, "m"))[1];
const [version, description, repository, license] = ["version", "description", "repository", "license"].map(said);
const owner = new URL(repository).pathname.split("/")[1];
const npmName = `@${owner}/${NAME}`;
const registryName = `io.github.${owner}/${NAME}`;
const targets = JSON.parse(fs.readFileSync(path.join(here, "targets.json"), "utf8"));
const built = Object.entries(targets).filter(([target]) => ["codex-mcp-server", "codex-mcp-bridge"].every((name) => fs.existsSync(path.join(binaries, target, name))));
if (built.length === 0) {
  console.error(`no binary of any target in ${binaries}; there must be TARGET/${NAME} and TARGET/codex-mcp-bridge`);
  process.exit(1);
}

fs.rmSync(out, { recursive: true, force: true });
fs.mkdirSync(out, { recursive: true });
const work = fs.mkdtempSync(path.join(out, "work-"));

const run = (program, args, cwd) => execFileSync(program, args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 });
const json = (file, value) => fs.writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
const folder = (...parts) => {
  const made = path.join(work, ...parts);
  fs.mkdirSync(made, { recursive: true });
  return made;
};
// The server starts the bridge that is beside it.
const BRIDGE = "codex-mcp-bridge";
const install = (target, to) => {
  for (const name of [NAME, BRIDGE]) {
    const file = path.join(path.dirname(to), name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.copyFileSync(path.join(binaries, target, name), file);
    fs.chmodSync(file, 0o755);
  }
};
const papers = (to) => {
  for (const file of ["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-MIT", "LICENSE-APACHE"]) {
    fs.copyFileSync(path.join(root, file), path.join(to, file));
  }
};
const pack = (from) => run("npm", ["pack", "--silent", "--pack-destination", out], from);

/// Completions and the manual page say the same for every target, so any binary that runs here can print them.
const shellFiles = (to) => {
  for (const [target] of built) {
    const binary = path.join(binaries, target, NAME);
    try {
      const shells = { bash: `${NAME}.bash`, zsh: `_${NAME}`, fish: `${NAME}.fish` };
      for (const [shell, file] of Object.entries(shells)) {
        fs.writeFileSync(path.join(to, file), run(binary, ["completions", shell]));
      }
      fs.writeFileSync(path.join(to, `${NAME}.1`), run(binary, ["man"]));
      return;
    } catch (error) {
      if (error.code !== "ENOEXEC" && error.errno === undefined) throw error;
    }
  }
  console.warn("no binary runs here: archives have no completions and no manual page");
};

const extras = folder("extras");
shellFiles(extras);
const packages = [];
const optional = {};
for (const [target, { npm, os, cpu, mcpb }] of built) {
  const stem = `${NAME}-${version}-${target}`;
  const archive = folder("archive", stem);
  install(target, path.join(archive, NAME));
  papers(archive);
  fs.cpSync(extras, archive, { recursive: true });
  run("tar", ["-czf", path.join(out, `${stem}.tar.gz`), "-C", path.dirname(archive), stem]);

  const own = folder("npm", npm);
  install(target, path.join(own, "bin", NAME));
  const name = `${npmName}-${npm}`;
  json(path.join(own, "package.json"), {
    name, version, description: `${NAME} for ${npm}`, license, repository, os: [os], cpu: [cpu], files: ["bin"],
  });
  optional[name] = version;
  pack(own);

  const bundle = folder("mcpb", target);
  install(target, path.join(bundle, "server", NAME));
  const template = JSON.parse(fs.readFileSync(path.join(here, "mcpb/manifest.json"), "utf8"));
  const compatibility = { platforms: [mcpb] };
  json(path.join(bundle, "manifest.json"), { ...template, version, description, license, compatibility });
  fs.copyFileSync(path.join(root, "LICENSE"), path.join(bundle, "LICENSE"));
  const file = path.join(out, `${stem}.mcpb`);
  // A bundle is a zip archive.
  run("python3", ["-m", "zipfile", "-c", file, "manifest.json", "LICENSE", "server/"], bundle);
  const sha256 = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  packages.push({
    registryType: "mcpb",
    identifier: `${repository}/releases/download/v${version}/${stem}.mcpb`,
    fileSha256: sha256,
    transport: { type: "stdio" },
  });
}

const main = folder("npm", "main");
fs.cpSync(path.join(here, "npm"), main, { recursive: true });
fs.mkdirSync(path.join(main, "bin"));
fs.renameSync(path.join(main, NAME), path.join(main, "bin", NAME));
papers(main);
json(path.join(main, "package.json"), {
  name: npmName, version, description, license, repository, mcpName: registryName,
  bin: { [NAME]: `bin/${NAME}` },
  scripts: { postinstall: "node install.js" },
  files: ["bin", "native.js", "install.js", "CHANGELOG.md"],
  engines: { node: ">=18" },
  optionalDependencies: optional,
});
pack(main);

json(path.join(out, "server.json"), {
  $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  name: registryName,
  title: "Codex",
  description: "Conversations with OpenAI's Codex CLI that continue, for any MCP client",
  version,
  repository: { url: repository, source: "github" },
  packages: [
    { registryType: "npm", identifier: npmName, version, transport: { type: "stdio" } },
    ...packages,
  ],
});

fs.rmSync(work, { recursive: true });
const sums = fs.readdirSync(out).sort().map((file) => {
  const sum = createHash("sha256").update(fs.readFileSync(path.join(out, file))).digest("hex");
  return `${sum}  ${file}\n`;
});
fs.writeFileSync(path.join(out, "SHA256SUMS"), sums.join(""));
process.stdout.write(sums.join(""));

// Where the package of this platform keeps the binary.
const PLATFORM = `${process.platform}-${process.arch}`;

exports.native = () => {
  const name = `${require("./package.json").name}-${PLATFORM}`;
  try {
    return require.resolve(`${name}/bin/codex-mcp-server`);
  } catch {
    console.error(
      `codex-mcp-server: there is no binary for ${PLATFORM}. If this platform is supported, install again ` +
        "without --omit=optional; else build from source with `cargo install codex-mcp-server`.",
    );
    process.exit(1);
  }
};

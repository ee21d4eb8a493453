//! What is released: assembled from our binary, installed and started as its users would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use testkit::{Home, Launch, npm};

fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Everything there is to release, for this machine alone.
fn assembled(folder: &Path) -> PathBuf {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let binaries = folder.join("binaries").join(target);
    fs::create_dir_all(&binaries).unwrap();
    for (name, ours) in [
        ("codex-mcp-server", env!("CARGO_BIN_EXE_codex-mcp-server")),
        ("codex-mcp-bridge", env!("CARGO_BIN_EXE_codex-mcp-bridge")),
    ] {
        run("strip", &["-o", binaries.join(name).to_str().unwrap(), ours], folder);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build.mjs");
    run("node", &[script.to_str().unwrap(), "binaries", "out"], folder);
    folder.join("out")
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

async fn answers(binary: &Path) {
    let home = Home::new("http://127.0.0.1:9");
    let server = Launch::new(binary, &home, Path::new("/nowhere")).connect().await;
    let pong = server.call("ping", json!({"message": "packed?"})).await.ok();
    assert!(pong.text.contains("packed?"));
    assert!(server.close().await.success());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_released_installs_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = assembled(folder.path());
    run("sha256sum", &["-c", "--quiet", "SHA256SUMS"], &out);

    let archive = files(&out, ".tar.gz").pop().unwrap();
    run("tar", &["-xzf", archive.to_str().unwrap()], folder.path());
    let stem = archive.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz");
    let unpacked = folder.path().join(stem);
    for file in
        ["README.md", "LICENSE", "codex-mcp-server.1", "codex-mcp-server.bash", "_codex-mcp-server"]
    {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    answers(&unpacked.join("codex-mcp-server")).await;
    // Without its small companion it does the same.
    fs::remove_file(unpacked.join("codex-mcp-bridge")).unwrap();
    answers(&unpacked.join("codex-mcp-server")).await;

    let bundle = files(&out, ".mcpb").pop().unwrap();
    let opened = folder.path().join("mcpb");
    fs::create_dir(&opened).unwrap();
    run("python3", &["-m", "zipfile", "-e", bundle.to_str().unwrap(), "."], &opened);
    let manifest: Value =
        serde_json::from_slice(&fs::read(opened.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    let mcpb =
        npm::fetch("@anthropic-ai/mcpb", "2.1.2").unwrap_or_else(|reason| panic!("{reason}"));
    let mcpb = mcpb.join("node_modules/.bin/mcpb");
    run(mcpb.to_str().unwrap(), &["validate", "manifest.json"], &opened);
    let entry = manifest["server"]["entry_point"].as_str().unwrap();
    assert!(fs::metadata(opened.join(entry)).unwrap().len() > 1_000_000);

    let registry: Value =
        serde_json::from_slice(&fs::read(out.join("server.json")).unwrap()).unwrap();
    let bundled = &registry["packages"][1];
    let sum = run("sha256sum", &[bundle.to_str().unwrap()], &out);
    assert!(sum.starts_with(bundled["fileSha256"].as_str().unwrap()), "{registry}");
    npm_carries_the_binary(folder.path(), &out).await;
}

/// With and without install scripts, which npm may refuse to run.
async fn npm_carries_the_binary(folder: &Path, out: &Path) {
    let packages = files(out, ".tgz");
    let packages: Vec<&str> = packages.iter().map(|path| path.to_str().unwrap()).collect();
    for (scripts, is_script) in [("--ignore-scripts", true), ("--foreground-scripts", false)] {
        let place = folder.join(scripts);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("package.json"), "{}").unwrap();
        let words =
            [&["install", "--offline", "--no-audit", "--no-fund", scripts], &packages[..]].concat();
        run("npm", &words, &place);
        let binary = place.join("node_modules/.bin/codex-mcp-server");
        let begins = fs::read(&binary).unwrap();
        assert_eq!(begins.starts_with(b"#!"), is_script, "{scripts}");
        answers(&binary).await;
    }
}

//! `setup`: real configuration files of clients, changed and changed back.

use std::{fs, process::Stdio};

use serde_json::Value;
use testkit::Launch;

use crate::support::World;

/// Client, its file below home, and the way to the entry.
const CLIENTS: [(&str, &str, &str); 9] = [
    ("claude-code", ".claude.json", "/mcpServers/codex/command"),
    ("claude-desktop", "config/Claude/claude_desktop_config.json", "/mcpServers/codex/command"),
    ("cursor", ".cursor/mcp.json", "/mcpServers/codex/command"),
    ("vscode", "config/Code/User/mcp.json", "/servers/codex/command"),
    ("windsurf", ".codeium/windsurf/mcp_config.json", "/mcpServers/codex/command"),
    ("zed", "config/zed/settings.json", "/context_servers/codex/command"),
    ("gemini", ".gemini/settings.json", "/mcpServers/codex/command"),
    ("opencode", "config/opencode/opencode.json", "/mcp/codex/command/0"),
    ("codex", ".codex/config.toml", "/mcp_servers/codex/command"),
];

/// Without the clients' own commands.
fn launch(world: &World) -> Launch {
    world.launch().env("PATH", "/usr/bin:/bin").without_env("CODEX_BIN")
}

async fn setup(launch: Launch) -> (Option<i32>, String, String) {
    let output = launch.command().stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn every_client_is_set_up_once_and_taken_back() {
    let world = World::new().await;
    for (client, file, pointer) in CLIENTS {
        let path = world.home.path().join(file);
        let before = fs::read_to_string(&path).unwrap_or_default();
        let (code, shown, err) = setup(launch(&world).args(["setup", client, "--print"])).await;
        assert_eq!(code, Some(0), "{client}: {err}");
        assert!(shown.contains("+++ ") && shown.contains("codex"), "{shown}");
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), before, "{client}");
        let (code, shown, err) = setup(launch(&world).args(["setup", client])).await;
        assert_eq!(code, Some(0), "{client}: {err}");
        assert!(shown.contains("+++ ") && shown.contains("written to"), "{shown}");
        let text = fs::read_to_string(&path).unwrap();
        let read: Value = match client {
            "codex" => toml::from_str(&text).unwrap(),
            _ => serde_json::from_str(&text).unwrap(),
        };
        assert_eq!(
            read.pointer(pointer).unwrap(),
            env!("CARGO_BIN_EXE_codex-mcp-server"),
            "{client}"
        );
        let (_, shown, _) = setup(launch(&world).args(["setup", client])).await;
        assert!(shown.contains("nothing to do"), "{shown}");
        let (_, shown, _) = setup(launch(&world).args(["setup", client, "--remove"])).await;
        assert!(shown.contains("taken out of"), "{shown}");
        assert!(!fs::read_to_string(&path).unwrap().contains("codex-mcp-server"), "{client}");
        let (_, shown, _) = setup(launch(&world).args(["setup", client, "--remove"])).await;
        assert!(shown.contains("nothing to do"), "{shown}");
    }
}

#[tokio::test]
async fn a_server_elsewhere_takes_the_place_of_one_that_is_started() {
    let world = World::new().await;
    let file = world.home.path().join("mcp.json");
    let path = file.to_str().unwrap();
    let url = "https://codex.example/mcp";
    let started = launch(&world).args(["setup", "cursor", "--file", path]);
    assert_eq!(setup(started).await.0, Some(0));
    let remote = ["setup", "cursor", "--file", path, "--url", url, "--token-env", "TEAM_TOKEN"];
    let (code, _, err) = setup(launch(&world).args(remote)).await;
    assert_eq!(code, Some(0), "{err}");
    let read: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let expected = serde_json::json!({"url": url,
        "headers": {"Authorization": "Bearer ${env:TEAM_TOKEN}"}});
    assert_eq!(read["mcpServers"]["codex"], expected);
    let (_, shown, _) = setup(launch(&world).args(remote)).await;
    assert!(shown.contains("nothing to do"), "{shown}");
    // And back.
    let (code, _, err) =
        setup(launch(&world).args(["setup", "cursor", "--file", path, "--yes"])).await;
    assert_eq!(code, Some(0), "{err}");
    let read: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(read["mcpServers"]["codex"].get("url").is_none(), "{read}");
    for (words, why) in [
        (&["setup", "cursor", "--url", "codex.example"][..], "no URL"),
        (&["setup", "claude-desktop", "--url", url], "connectors"),
        (&["setup", "zed", "--url", url, "--token-env", "T"], "log in"),
        (&["setup", "cursor", "--url", url, "--token-env", "cms_a-b"], "name of a variable"),
        (&["setup", "cursor", "--token-env", "T"], "--url"),
    ] {
        let (code, _, err) =
            setup(words.iter().fold(launch(&world), |launch, word| launch.arg(*word))).await;
        assert!(code != Some(0) && err.contains(why), "{words:?}: {err}");
    }
}

#[tokio::test]
async fn what_else_is_in_the_file_stays() {
    let world = World::new().await;
    let file = world.home.path().join("mcp.json");
    let mine = "{\n    // mine\n    \"mcpServers\": {\n        \"other\": {\"command\": \"x\"}, // keep\n    },\n}\n";
    fs::write(&file, mine).unwrap();
    let path = file.to_str().unwrap();
    let flags =
        ["--store", "s.sqlite3", "--tools", "codex,wait", "setup", "cursor", "--file", path];
    let (code, _, err) = setup(launch(&world).args(flags)).await;
    assert_eq!(code, Some(0), "{err}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("// mine") && text.contains("\"other\": {\"command\": \"x\"}, // keep"),
        "{text}"
    );
    let store = format!("\"store.path={}\"", world.home.work().join("s.sqlite3").display());
    assert!(text.contains(&store) && text.contains("\"tools=codex,wait\""), "{text}");
    setup(launch(&world).args(["setup", "cursor", "--file", path, "--remove"])).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), mine);
}

#[tokio::test]
async fn what_was_added_to_our_own_entry_stays() {
    let world = World::new().await;
    let file = world.home.path().join("mcp.json");
    let old = serde_json::json!({"mcpServers": {"codex": {
        "command": "/old/codex-mcp-server", "args": ["--old"], "timeout": 600, "env": {"MINE": "1"},
    }}});
    fs::write(&file, old.to_string()).unwrap();
    let path = file.to_str().unwrap();
    let (code, _, err) = setup(launch(&world).args(["setup", "cursor", "--file", path])).await;
    assert_eq!(code, Some(0), "{err}");
    let now: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let entry = &now["mcpServers"]["codex"];
    assert_eq!(entry["command"], env!("CARGO_BIN_EXE_codex-mcp-server"));
    assert_eq!((&entry["args"], &entry["timeout"]), (&serde_json::json!([]), &600.into()));
    assert_eq!(entry["env"]["MINE"], "1");
    let (_, shown, _) = setup(launch(&world).args(["setup", "cursor", "--file", path])).await;
    assert!(shown.contains("nothing to do"), "{shown}");
}

/// Its own command may keep the entry elsewhere, or do nothing where no window can be opened.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_clients_command_that_changes_nothing_is_made_up_for() {
    let world = World::new().await;
    let folder = world.home.path().join("bin");
    fs::create_dir_all(&folder).unwrap();
    for (status, said) in [("0", "written to"), ("1", "failed")] {
        testkit::program::write(folder.join("code"), &format!("#!/bin/sh\nexit {status}\n"));
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let (_, shown, err) =
            setup(launch(&world).env("PATH", path).args(["setup", "vscode"])).await;
        assert!((shown + &err).contains(said), "{err}");
        let file = world.home.path().join("config/Code/User/mcp.json");
        let there = fs::read_to_string(&file).is_ok_and(|text| text.contains("codex-mcp-server"));
        assert_eq!((there, file.exists()), (status == "0", status == "0"));
        fs::remove_file(&file).ok();
    }
}

#[tokio::test]
async fn what_is_not_ours_or_not_readable_is_left_alone() {
    let world = World::new().await;
    let file = world.home.path().join("mcp.json");
    let path = file.to_str().unwrap();
    let set_up = || launch(&world).args(["setup", "cursor", "--file", path]);
    for (text, said) in [
        ("{\"mcpServers\": ", "was left as it is"),
        ("{\"mcpServers\": []}", "`mcpServers` in it is not"),
        ("{\"mcpServers\": {\"codex\": {\"command\": \"npx\"}}}", "--yes"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, _, err) = setup(set_up()).await;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(said), "{err}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    let (code, _, err) = setup(set_up().arg("--yes")).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(!fs::read_to_string(&file).unwrap().contains("npx"));
    let (code, _, err) = setup(launch(&world).args(["setup", "nobody"])).await;
    assert_eq!(code, Some(2), "{err}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_desktop_client_is_told_where_codex_is() {
    let world = World::new().await;
    let folder = world.home.path().join("odd/bin");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("codex"), "").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.join("codex"), mode).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let launch = world.launch().without_env("CODEX_BIN").env("PATH", &path);
    let (code, _, err) = setup(launch.clone().args(["setup", "claude-desktop"])).await;
    assert_eq!(code, Some(0), "{err}");
    let file = world.home.path().join("config/Claude/claude_desktop_config.json");
    let written: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let codex = folder.join("codex").display().to_string();
    assert_eq!(written["mcpServers"]["codex"]["env"]["CODEX_BIN"], codex);
    setup(launch.args(["setup", "gemini"])).await;
    let file = world.home.path().join(".gemini/settings.json");
    assert!(!fs::read_to_string(file).unwrap().contains("CODEX_BIN"));
}

#[tokio::test]
async fn paths_are_absolute_because_clients_start_us_elsewhere() {
    let world = World::new().await;
    let file = world.home.path().join("mcp.json");
    let work = world.home.work();
    fs::write(work.join("c.toml"), "").unwrap();
    let launch = launch(&world)
        .args(["--config", "c.toml", "--codex-bin", "bin/codex", "--store", "s.sqlite3"])
        .args(["--set", "limits.roots=src, ../other", "--set", "defaults.working_directory=src"])
        .args(["setup", "cursor", "--file", file.to_str().unwrap()]);
    let (code, _, err) = setup(launch).await;
    assert_eq!(code, Some(0), "{err}");
    let written: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let args = written["mcpServers"]["codex"]["args"].to_string();
    let work = work.display();
    for expected in [
        format!("{work}/c.toml"),
        format!("codex.bin={work}/bin/codex"),
        format!("store.path={work}/s.sqlite3"),
        format!(r#"limits.roots=[\"{work}/src\", \"{work}/../other\"]"#),
        format!("defaults.working_directory={work}/src"),
    ] {
        assert!(args.contains(&expected), "{expected}: {args}");
    }
}

#[tokio::test]
async fn what_a_replaced_entry_had_stays() {
    let world = World::new().await;
    let file = world.home.path().join("config.toml");
    let path = file.to_str().unwrap();
    fs::write(
        &file,
        "[mcp_servers.codex]\ncommand = \"npx\"\nargs = [\"-y\", \"codex-mcp-server\"]\nenabled = false\n\
         startup_timeout_sec = 20\ntool_timeout_sec = 600.5\ndefault_tools_approval_mode = \"approve\"\n\n\
         [mcp_servers.codex.env]\nCODEX_HOME = \"/elsewhere\"\n",
    )
    .unwrap();
    let words = ["setup", "codex", "--yes", "--file", path];
    let (code, _, err) = setup(launch(&world).args(words)).await;
    assert_eq!(code, Some(0), "{err}");
    let now: Value = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let entry = &now["mcp_servers"]["codex"];
    assert_eq!(entry["command"], env!("CARGO_BIN_EXE_codex-mcp-server"));
    assert_eq!(entry["args"], Value::Null);
    assert_eq!(entry["enabled"], false);
    assert_eq!(entry["startup_timeout_sec"], 20);
    assert_eq!(entry["tool_timeout_sec"], 600.5);
    assert_eq!(entry["default_tools_approval_mode"], "approve");
    assert_eq!(entry["env"]["CODEX_HOME"], "/elsewhere");
}

#[tokio::test]
async fn another_server_is_removed_only_if_that_is_said() {
    let world = World::new().await;
    let file = world.home.path().join("mcp.json");
    let path = file.to_str().unwrap();
    let other = "{\"mcpServers\": {\"codex\": {\"command\": \"npx\"}}}\n";
    fs::write(&file, other).unwrap();
    for more in [&[][..], &["--yes"]] {
        let launch = launch(&world).args(["setup", "cursor", "--remove", "--file", path]);
        let (code, _, err) =
            setup(more.iter().fold(launch, |launch, word| launch.arg(*word))).await;
        assert_eq!(code, Some(1), "{more:?}: {err}");
        assert!(err.contains("another server") && err.contains("--force"), "{err}");
        assert_eq!(fs::read_to_string(&file).unwrap(), other);
    }
    let forced = launch(&world).args(["setup", "cursor", "--remove", "--force", "--file", path]);
    let (code, _, err) = setup(forced).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(!fs::read_to_string(&file).unwrap().contains("npx"));
}

#[tokio::test]
async fn files_of_windows_stay_files_of_windows() {
    let world = World::new().await;
    for (client, name, text) in [
        ("codex", "config.toml", "\u{feff}# mine\r\nmodel = \"m\"\r\n"),
        ("cursor", "mcp.json", "\u{feff}{\r\n  \"theme\": \"dark\"\r\n}\r\n"),
    ] {
        let file = world.home.path().join(name);
        let path = file.to_str().unwrap();
        fs::write(&file, text).unwrap();
        let (code, shown, err) =
            setup(launch(&world).args(["setup", client, "--file", path])).await;
        assert_eq!(code, Some(0), "{err}");
        let now = fs::read_to_string(&file).unwrap();
        assert!(now.contains("codex-mcp-server") && now.starts_with('\u{feff}'), "{now:?}");
        assert!(!now.replace("\r\n", "").contains('\n'), "{now:?}");
        assert!(!shown.contains("-# mine") && !shown.contains("-model"), "{shown}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_or_ambiguous_is_refused_and_a_link_is_written_through() {
    let world = World::new().await;
    let place = |name: &str| world.home.path().join(name);
    let twice = "{\"mcpServers\": {}, \"mcpServers\": {\"x\": {}}}\n";
    fs::write(place("twice.json"), twice).unwrap();
    let made = std::process::Command::new("mkfifo").arg(place("pipe")).status().unwrap();
    assert!(made.success());
    for (name, said) in [
        ("twice.json", "`mcpServers` is in it twice"),
        ("pipe", "is not a file"),
        ("zero", "is not a file"),
        ("", "is not a file"),
    ] {
        let path = if name == "zero" { "/dev/zero".into() } else { place(name) };
        let path = path.to_str().unwrap();
        let (code, _, err) = setup(launch(&world).args(["setup", "cursor", "--file", path])).await;
        assert_eq!(code, Some(1), "{name}: {err}");
        assert!(err.contains(said), "{name}: {err}");
    }
    assert_eq!(fs::read_to_string(place("twice.json")).unwrap(), twice);
    fs::create_dir(place("real")).unwrap();
    std::os::unix::fs::symlink("real/mcp.json", place("link.json")).unwrap();
    let link = place("link.json");
    let words = ["setup", "cursor", "--file", link.to_str().unwrap()];
    let (code, _, err) = setup(launch(&world).args(words)).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(link.is_symlink());
    assert!(fs::read_to_string(place("real/mcp.json")).unwrap().contains("codex-mcp-server"));
}

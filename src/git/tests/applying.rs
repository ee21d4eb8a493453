//! Applying a worktree's changes: the user's files are as they were, or as they are to be; never anything else.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use proptest::{prelude::*, test_runner::TestRunner};

use super::{User, files, write};
use crate::git::{Begin, Git, GitEnvironment, RepositoryError, Worktree};

async fn worktree(user: &User, name: &str) -> Worktree {
    let repository = user.ours().repository(&user.top());
    let place = user.at("worktrees").join(name);
    repository.add_worktree(&place, name, Begin::At(None)).await.unwrap().0
}

fn read(user: &User, name: &str) -> String {
    fs::read_to_string(user.top().join(name)).unwrap_or_else(|error| error.to_string())
}

/// The user's files, without git's.
fn tree(user: &User) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let git = user.top().join(".git");
    files(&user.top()).into_iter().filter(|(path, _)| !path.starts_with(&git)).collect()
}

#[tokio::test]
async fn what_the_user_has_told_git_not_to_see_is_seen() {
    for flag in ["--skip-worktree", "--assume-unchanged"] {
        let user = User::new();
        user.write("a.txt", "1\n2\n3\n4\n5\n");
        user.git(&["commit", "-qam", "lines"]);
        user.git(&["update-index", flag, "a.txt"]);
        user.write("a.txt", "mine\n2\n3\n4\n5\n");
        let (one, two) = (worktree(&user, "one").await, worktree(&user, "two").await);
        write(&one.path, "a.txt", "1\n2\n3\n4\ntheirs\n");
        write(&two.path, "a.txt", "theirs\n2\n3\n4\n5\n");
        write(&two.path, "z.txt", "new\n");
        one.merge(&user.ours(), None).await.unwrap();
        assert_eq!(read(&user, "a.txt"), "mine\n2\n3\n4\ntheirs\n", "{flag}");
        let conflict = two.merge(&user.ours(), None).await.unwrap_err();
        assert!(matches!(conflict, RepositoryError::Conflicts { .. }), "{conflict}");
        assert_eq!(read(&user, "a.txt"), "mine\n2\n3\n4\ntheirs\n", "{flag}");
        assert!(!user.top().join("z.txt").exists());
        // The flag is the user's, and stays.
        assert!(!user.git(&["ls-files", "-v", "a.txt"]).starts_with('H'));
    }
}

#[tokio::test]
async fn what_is_in_the_way_stops_all_of_it() {
    let user = User::new();
    user.write(".gitignore", "*.env\n");
    user.write("sparse/s.txt", "s\n");
    user.git(&["add", "."]);
    user.git(&["commit", "-qm", "more"]);
    user.write("b.txt", "uncommitted\n");
    user.write("my.env", "mine\n");
    user.write("same.env", "same\n");
    user.git(&["update-index", "--skip-worktree", "sparse/s.txt"]);
    fs::remove_dir_all(user.top().join("sparse")).unwrap();
    let before = tree(&user);
    for (name, text, expected) in [
        ("my.env", "theirs\n", "my.env"),
        ("sparse/s.txt", "theirs\n", "git sparse-checkout"),
        ("b.txt", "theirs\n", "b.txt"),
    ] {
        let it = worktree(&user, &name.replace(['/', '.'], "-")).await;
        write(&it.path, "a.txt", "theirs\n");
        write(&it.path, name, text);
        // So that git takes it along.
        write(&it.path, ".gitignore", "\n");
        let error = it.merge(&user.ours(), None).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(tree(&user), before, "{name}");
    }
    // One that is the same already is not in the way.
    let it = worktree(&user, "same").await;
    write(&it.path, ".gitignore", "\n");
    write(&it.path, "same.env", "same\n");
    it.merge(&user.ours(), None).await.unwrap();
    assert_eq!(
        (read(&user, "same.env"), read(&user, "my.env")),
        ("same\n".into(), "mine\n".into())
    );
}

#[tokio::test]
async fn a_changed_file_that_was_renamed_stays_where_it_is() {
    let user = User::new();
    user.write("a.txt", "1\n2\n3\n4\n5\n");
    user.git(&["commit", "-qam", "lines"]);
    let it = worktree(&user, "w").await;
    fs::rename(it.path.join("a.txt"), it.path.join("renamed.txt")).unwrap();
    user.write("a.txt", "mine\n2\n3\n4\n5\n");
    let error = it.merge(&user.ours(), None).await.unwrap_err();
    assert_eq!(error, RepositoryError::Conflicts { files: vec!["a.txt".to_owned()] });
    assert_eq!(read(&user, "a.txt"), "mine\n2\n3\n4\n5\n");
    assert!(!user.top().join("renamed.txt").exists());
}

#[tokio::test]
async fn files_folders_links_and_modes_change_into_each_other() {
    let user = User::new();
    user.write("dir/x", "x\n");
    user.write("file", "file\n");
    user.write("run.sh", "#!/bin/sh\n");
    user.write("odd \"name\"\n\u{e9}", "odd\n");
    fs::set_permissions(user.top().join("a.txt"), PermissionsExt::from_mode(0o600)).unwrap();
    user.git(&["add", "."]);
    user.git(&["commit", "-qm", "more"]);
    let it = worktree(&user, "w").await;
    fs::remove_dir_all(it.path.join("dir")).unwrap();
    write(&it.path, "dir", "a file\n");
    fs::remove_file(it.path.join("file")).unwrap();
    write(&it.path, "file/y", "y\n");
    fs::set_permissions(it.path.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::remove_file(it.path.join("b.txt")).unwrap();
    symlink("a.txt", it.path.join("b.txt")).unwrap();
    write(&it.path, "odd \"name\"\n\u{e9}", "odder\n");
    write(&it.path, "a.txt", "theirs\n");
    it.merge(&user.ours(), None).await.unwrap();
    let top = user.top();
    assert_eq!((read(&user, "dir").as_str(), read(&user, "file/y").as_str()), ("a file\n", "y\n"));
    assert_eq!(fs::read_link(top.join("b.txt")).unwrap(), Path::new("a.txt"));
    assert_eq!(read(&user, "odd \"name\"\n\u{e9}"), "odder\n");
    let mode = |name: &str| fs::metadata(top.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a.txt"), mode("run.sh") & 0o111), (0o600, 0o111));
    let status = user.git(&["status", "--porcelain", "--ignored"]);
    assert!(!status.contains("codex-mcp-server"), "{status}");
    assert!(!it.journal().exists() && !top.join(".git/index.lock").exists());
}

#[tokio::test]
async fn the_users_git_and_other_applies_are_waited_for() {
    let user = User::new();
    let it = worktree(&user, "w").await;
    write(&it.path, "a.txt", "theirs\n");
    let lock = user.top().join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    // One that stays is named, and nothing is changed.
    let error = it.merge(&user.ours(), None).await.unwrap_err();
    let is_named =
        matches!(&error, RepositoryError::InUse { reason } if reason.contains("index.lock"));
    assert!(is_named, "{error}");
    assert_eq!((read(&user, "a.txt"), fs::read(&lock).unwrap()), ("one\n".into(), Vec::new()));
    let git = user.ours();
    let applied = tokio::spawn(async move { it.merge(&git, None).await.map(|(files, _)| files) });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(read(&user, "a.txt"), "one\n");
    fs::remove_file(&lock).unwrap();
    assert_eq!(applied.await.unwrap().unwrap(), ["a.txt"]);
}

/// What the user does at some call of git's, or what happens to us then.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Save,
    Kill,
    Full,
    ReadOnly,
}

/// What a worktree does with a file, and the user before.
#[derive(Debug, Clone)]
struct Edit {
    name: &'static str,
    theirs: Option<&'static str>,
    ours: Option<&'static str>,
    flag: Option<&'static str>,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let text = || {
        let long = "x\n".repeat(300_000).leak();
        prop::option::of(prop::sample::select(vec!["theirs\n", "1\n2\n3\n4\ntheirs\n", long]))
    };
    let ours = prop::option::of(prop::sample::select(vec!["mine\n2\n3\n4\n5\n", "mine\n"]));
    let flag =
        prop::sample::select(vec![None, None, Some("--skip-worktree"), Some("--assume-unchanged")]);
    let names = vec!["one", "two", "d/three", "d/e/four", "my.env", "new", "n/new"];
    let edit = (prop::sample::select(names), text(), ours, flag);
    let edit = edit.prop_map(|(name, theirs, ours, flag)| Edit { name, theirs, ours, flag });
    prop::collection::vec(edit, 1..8)
}

/// Applies what the variable names, in a process that can be killed.
#[test]
fn applies_in_a_process_of_its_own() {
    let Some(place) = std::env::var_os("APPLY_IN") else { return };
    let place = std::path::PathBuf::from(place);
    let path = std::env::join_paths([place.join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
    let variables = [("PATH".into(), path), ("HOME".into(), place.join("home").into())].into();
    let git = Git::new(GitEnvironment::of(&variables), Some(place.join("own")));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let said = fs::read_to_string(place.join("worktree")).unwrap();
    let words: Vec<&str> = said.lines().collect();
    let it = Worktree {
        path: words[0].into(),
        branch: words[1].into(),
        base: words[2].into(),
        root: words[3].into(),
        git_dir: words[4].into(),
        common_dir: words[5].into(),
    };
    let merged = runtime.block_on(it.merge(&git, None));
    fs::write(
        place.join("outcome"),
        merged.map_or_else(|error| error.to_string(), |_| "done".into()),
    )
    .unwrap();
}

/// `APPLY_SECONDS` says for how long; some cases by default.
#[test]
fn whatever_happens_each_file_is_old_or_new() {
    let seconds = std::env::var("APPLY_SECONDS").ok().and_then(|it| it.parse::<u64>().ok());
    let begun = std::time::Instant::now();
    loop {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 12,
            max_shrink_iters: 30,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let faults = prop::sample::select(vec![
            Fault::None,
            Fault::Save,
            Fault::Save,
            Fault::Kill,
            Fault::Kill,
            Fault::Full,
            Fault::ReadOnly,
        ]);
        runner
            .run(&(edits(), faults, 1..30_u32, 0..40_u64), |(edits, fault, call, later)| {
                holds(&edits, fault, call, later);
                Ok(())
            })
            .unwrap();
        if seconds.is_none_or(|seconds| begun.elapsed().as_secs() >= seconds) {
            return;
        }
    }
}

/// What the worktree and the user have done before.
fn edit_both(user: &User, it: &Worktree, edits: &[Edit]) {
    write(&it.path, ".gitignore", "\n");
    for Edit { name, theirs, ours, flag } in edits {
        match theirs {
            Some(text) => write(&it.path, name, text),
            None => drop(fs::remove_file(it.path.join(name))),
        }
        if let (Some(flag), true) = (flag, !user.git(&["ls-files", name]).is_empty()) {
            user.git(&["update-index", flag, name]);
        }
        if let Some(text) = ours {
            user.write(name, text);
        }
    }
}

fn holds(edits: &[Edit], fault: Fault, call: u32, later: u64) {
    let user = User::new();
    for name in ["one", "two", "d/three", "d/e/four"] {
        user.write(name, "1\n2\n3\n4\n5\n");
    }
    user.write(".gitignore", "*.env\n");
    user.git(&["add", "."]);
    user.git(&["commit", "-qm", "files"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let it = runtime.block_on(worktree(&user, "w"));
    edit_both(&user, &it, edits);
    let old = files(&user.top());
    // A git that lets something happen at its n-th run.
    let place = user.at("own").parent().unwrap().to_owned();
    fs::create_dir_all(place.join("bin")).unwrap();
    let saved = user.top().join("one");
    let act = match fault {
        Fault::Save => format!("echo saved > '{}'", saved.display()),
        Fault::Kill => "kill -9 $PPID".to_owned(),
        _ => "true".to_owned(),
    };
    let wrapper = format!(
        "#!/bin/sh\necho >> '{0}/runs'\nif [ $(wc -l < '{0}/runs') = {call} ]; then {act}; fi\nexec /usr/bin/git \"$@\"\n",
        place.display()
    );
    fs::write(place.join("bin/git"), wrapper).unwrap();
    fs::set_permissions(place.join("bin/git"), PermissionsExt::from_mode(0o755)).unwrap();
    let said = [
        &it.path,
        &it.branch.clone().into(),
        &it.base.clone().into(),
        &it.root,
        &it.git_dir,
        &it.common_dir,
    ]
    .map(|part: &std::path::PathBuf| part.to_string_lossy().into_owned());
    fs::write(place.join("worktree"), said.join("\n")).unwrap();
    if matches!(fault, Fault::ReadOnly) {
        fs::set_permissions(user.top().join("d"), PermissionsExt::from_mode(0o555)).unwrap();
    }
    let limit = if matches!(fault, Fault::Full) { "trap '' XFSZ; ulimit -f 300; " } else { "" };
    let own = std::env::current_exe().unwrap();
    let line = format!(
        "{limit}exec '{}' --exact git::tests::applying::applies_in_a_process_of_its_own",
        own.display()
    );
    let mut child = Command::new("/bin/sh");
    child.args(["-c", &line]).env("APPLY_IN", &place).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    if matches!(fault, Fault::Kill) && call > 20 {
        // Not at a run of git's but at any moment.
        std::thread::sleep(std::time::Duration::from_millis(later * 5));
        drop(child.kill());
    }
    child.wait().unwrap();
    // Unless it went with its files.
    drop(fs::set_permissions(user.top().join("d"), PermissionsExt::from_mode(0o755)));
    let outcome = fs::read_to_string(place.join("outcome")).unwrap_or_default();
    let is_whole = |path: &Path, text: &[u8]| {
        old.get(path).is_some_and(|old| old == text)
            || files(&it.path)
                .get(&it.path.join(path.strip_prefix(user.top()).unwrap()))
                .is_some_and(|new| new == text)
            || [b"saved\n".as_slice(), b"mine\n2\n3\n4\ntheirs\n"].contains(&text)
    };
    let now = files(&user.top());
    let is_git = |path: &Path| path.starts_with(user.top().join(".git"));
    let is_stage = |path: &Path| path.to_string_lossy().contains("/.codex-mcp-server-");
    for (path, text) in now.iter().filter(|(path, _)| !is_git(path) && !is_stage(path)) {
        assert!(is_whole(path, text), "{path:?}: {outcome}");
    }
    // What the user had not committed is where it was, or in what was merged.
    for Edit { name, .. } in edits {
        let path = user.top().join(name);
        let Some(before) = old.get(&path).filter(|it| it.starts_with(b"mine")) else { continue };
        let after = now.get(&path).map(Vec::as_slice).unwrap_or_default();
        let is_saved = *name == "one" && after == b"saved\n";
        let is_there = after == before || after.starts_with(b"mine\n");
        assert!(is_there || is_saved, "{name}: {outcome}");
    }
    let is_done = outcome == "done";
    if !is_done && !outcome.is_empty() {
        for (path, text) in old.iter().filter(|(path, _)| !is_git(path)) {
            let after = now.get(path).map(Vec::as_slice);
            assert!(after == Some(text) || after == Some(b"saved\n"), "{path:?}: {outcome}");
        }
        assert!(now.keys().all(|path| !is_stage(path)), "{outcome}");
    }
    if outcome.is_empty() {
        // It was killed. Another goes on from there, and takes away what is left; what conflicts stays as it is.
        let again = runtime.block_on(it.merge(&user.ours(), None));
        assert!(files(&user.top()).keys().all(|path| !is_stage(path)), "{again:?}");
        assert!(!user.top().join(".git/index.lock").exists(), "{again:?}");
    }
}

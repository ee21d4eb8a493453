//! What a user has configured counts, and what is the user's stays as it is.

use std::{
    fs,
    process::{Command, Stdio},
};

use super::{User, files, write};
use crate::git::{Begin, ReviewTarget};

const UNCOMMITTED: ReviewTarget = ReviewTarget::UncommittedChanges;

#[tokio::test]
async fn a_review_leaves_nothing_behind() {
    let user = User::new();
    user.write("large", &"0123456789\n".repeat(10_000));
    user.write("a.txt", "changed\n");
    user.git(&["add", "-N", "a.txt"]);
    let before = files(&user.top().join(".git"));
    let git = user.ours();
    let repository = git.repository(&user.top());
    let changes = repository.changes(&UNCOMMITTED, &["a.txt".into()], 1 << 20).await.unwrap();
    assert!(changes.unwrap().diff.contains("+changed"));
    let refused = repository.changes(&UNCOMMITTED, &[], 1 << 10).await.unwrap_err().to_string();
    assert!(refused.contains("`large` (10000 lines)"), "{refused}");
    repository.snapshot().await.unwrap();
    assert_eq!(files(&user.top().join(".git")), before);
    repository.forget_snapshots().await.unwrap();
    assert_eq!(files(&user.at("own")).len(), 0);
}

#[tokio::test]
async fn filters_line_ends_and_conditions_of_the_user_count() {
    let user = User::new();
    let log = user.at("log");
    user.configure(&format!(
        "[filter \"up\"]\n\tclean = \"env >> {0}; tr a-z A-Z\"\n\tsmudge = tr A-Z a-z\n\
         [includeIf \"gitdir:{1}/\"]\n\tpath = more\n",
        log.display(),
        user.top().display()
    ));
    fs::write(user.at("home/more"), "[core]\n\tautocrlf = input\n").unwrap();
    user.write(".gitattributes", "*.up filter=up\n");
    user.write("x.up", "hello\n");
    user.write("crlf.txt", "line\r\n");
    let git = user.ours();
    let repository = git.repository(&user.top());
    let diff = repository.changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap().unwrap().diff;
    assert!(diff.contains("+HELLO\n"), "{diff}");
    assert!(diff.contains("+line\n") && !diff.contains('\r'), "{diff}");
    // A filter of the user's sees what git sees.
    let seen = fs::read_to_string(&log).unwrap();
    assert!(!seen.contains("secret") && seen.contains("HOME="), "{seen}");
    let place = user.at("worktrees/w");
    let (worktree, _) = repository.add_worktree(&place, "w", Begin::WithChanges).await.unwrap();
    assert_eq!(fs::read_to_string(place.join("x.up")).unwrap(), "hello\n");
    assert_eq!(worktree.extent(&git).await.unwrap().files_changed, 0);
    // The user's own git works there, with what is not committed yet.
    let status = user.git_in(&place, &["status", "--porcelain"]);
    assert_eq!(status, "?? .gitattributes\n?? crlf.txt\n?? x.up");
    user.git_in(&place, &["add", "."]);
    user.git_in(&place, &["-c", "user.name=u", "-c", "user.email=u@u", "commit", "-qm", "w"]);
    user.git(&["fsck", "--strict"]);
}

/// Git's large files: what is on disk is used, nothing is fetched. Where there is no git-lfs this says so.
#[tokio::test]
async fn git_lfs_goes_on_working() {
    let user = User::new();
    let mut lfs = Command::new("git");
    lfs.args(["lfs", "install"]).env("HOME", user.at("home")).current_dir(user.at("home"));
    if !lfs.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success()) {
        eprintln!("there is no git-lfs here, so nothing is shown of it");
        return;
    }
    let config = fs::read_to_string(user.at("home/.gitconfig")).unwrap();
    user.configure(&format!("{config}[user]\n\tname = u\n\temail = u@u\n"));
    user.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    user.write("large.bin", "large content\n");
    user.git(&["add", "."]);
    user.git(&["commit", "-qm", "large"]);
    assert!(user.git(&["show", "HEAD:large.bin"]).contains("git-lfs"));
    let git = user.ours();
    let repository = git.repository(&user.top());
    let unchanged = repository.changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap_err().to_string();
    assert!(unchanged.contains("nothing is uncommitted"), "{unchanged}");
    let place = user.at("worktrees/w");
    let (worktree, _) = repository.add_worktree(&place, "w", Begin::At(None)).await.unwrap();
    assert_eq!(fs::read_to_string(place.join("large.bin")).unwrap(), "large content\n");
    assert_eq!(worktree.extent(&git).await.unwrap().files_changed, 0);
    write(&place, ".lfsconfig", "[lfs]\n\turl = http://127.0.0.1:9/\n");
    write(&place, "large.bin", "larger content\n");
    let (files, _) = worktree.merge(&git, None).await.unwrap();
    assert_eq!(files, [".lfsconfig", "large.bin"]);
    let merged = fs::read_to_string(user.top().join("large.bin")).unwrap();
    assert_eq!(merged, "larger content\n");
    // A repository cannot have it fetch what is missing from where the repository says.
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    door.set_nonblocking(true).unwrap();
    let address = door.local_addr().unwrap();
    user.write(".lfsconfig", &format!("[lfs]\n\turl = http://{address}/\n"));
    user.git(&["add", "."]);
    user.git(&["commit", "-qm", "elsewhere"]);
    fs::remove_dir_all(user.top().join(".git/lfs")).unwrap();
    let place = user.at("worktrees/missing");
    repository.add_worktree(&place, "missing", Begin::At(None)).await.unwrap();
    assert!(fs::read_to_string(place.join("large.bin")).unwrap().contains("git-lfs"));
    assert_eq!(door.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_linked_worktree_a_reftable_and_sha256_can_be_looked_at() {
    let user = User::new();
    let linked = user.at("linked");
    user.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "other"]);
    write(&linked, "a.txt", "changed\n");
    let git = user.ours();
    let changes = git.repository(&linked).changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap();
    assert!(changes.unwrap().diff.contains("+changed"));
    for format in [["--object-format=sha256"], ["--ref-format=reftable"]] {
        let place = user.at(format[0]);
        fs::create_dir(&place).unwrap();
        let made = Command::new("git").arg("init").args(format).arg(&place).output().unwrap();
        if !made.status.success() {
            eprintln!("this git does not know {format:?}");
            continue;
        }
        write(&place, "a.txt", "one\n");
        user.git_in(&place, &["add", "."]);
        user.git_in(&place, &["commit", "-qm", "one"]);
        write(&place, "a.txt", "changed\n");
        let repository = git.repository(&place);
        let diff = repository.changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap().unwrap().diff;
        assert!(diff.contains("+changed"), "{diff}");
        let worktree = user.at("worktrees").join(format!("w{}", format[0]));
        let (worktree, _) =
            repository.add_worktree(&worktree, "w", Begin::WithChanges).await.unwrap();
        write(&worktree.path, "new.txt", "work\n");
        user.git_in(&worktree.path, &["add", "."]);
        user.git_in(&worktree.path, &["commit", "-qm", "work"]);
        assert_eq!(worktree.merge(&git, None).await.unwrap().0, ["new.txt"]);
        worktree.remove(&git).await.unwrap();
        assert_eq!(user.git_in(&place, &["worktree", "list"]).lines().count(), 1);
    }
}

#[tokio::test]
async fn folders_elsewhere_are_said() {
    let user = User::new();
    let shared = user.at("shared");
    let clone = ["clone", "-q", "--shared", ".", shared.to_str().unwrap()];
    user.git(&clone);
    let folders = user.ours().repository(&shared).folders().await.unwrap();
    assert!(folders.contains(&user.top().join(".git/objects")), "{folders:?}");
    write(&shared, "a.txt", "changed\n");
    let changes = user.ours().repository(&shared).changes(&UNCOMMITTED, &[], 1 << 20).await;
    assert!(changes.unwrap().unwrap().diff.contains("+changed"));
}

//! Nothing that a repository names is run: every key of git's list, every hook, in every place that Codex could write.

use std::{fs, os::unix::fs::symlink, path::Path};

use testkit::Hostile;

use super::{User, write};
use crate::git::{Begin, Git, ReviewTarget, Worktree};

/// Everything that we do with git, in the repository at `top`. What is refused is fine; what must work is checked.
async fn everything(user: &User, hostile: &Hostile, git: &Git, top: &Path, revisions: &[String]) {
    let repository = git.repository(top);
    let none = |what: &str| {
        let marks = hostile.marks();
        assert!(marks.is_empty(), "{what} ran {}", marks.join("\n"));
    };
    let uncommitted = ReviewTarget::UncommittedChanges;
    let changes = repository.changes(&uncommitted, &[], 1 << 20).await.unwrap().unwrap();
    assert!(changes.diff.contains("+changed"), "{}", changes.diff);
    none("a review of uncommitted changes");
    let tree = repository.snapshot().await.unwrap().tree;
    none("a snapshot");
    write(top, "a.txt", "changed again\n");
    let since = repository.changes(&ReviewTarget::Since { tree }, &[], 1 << 20).await;
    assert!(since.unwrap().unwrap().diff.contains("+changed again"));
    none("a review since a snapshot");
    for branch in ["other", "main"] {
        let target = ReviewTarget::BaseBranch { branch: branch.to_owned() };
        repository.changes(&target, &[], 1 << 20).await.unwrap();
    }
    none("a review of a branch");
    for sha in revisions {
        let target = ReviewTarget::Commit { sha: sha.clone() };
        drop(repository.changes(&target, &["a.txt".to_owned()], 1 << 20).await);
        drop(repository.changes(&target, &[], 1).await);
    }
    none("a review of a commit");
    for begin in [Begin::At(None), Begin::WithChanges] {
        let place = user.at("worktrees").join(format!("w-{}", uuid::Uuid::new_v4().simple()));
        let (worktree, _) = repository.add_worktree(&place, "w", begin).await.unwrap();
        none("a new worktree");
        in_worktree(hostile, git, top, &worktree).await;
        worktree.remove(git).await.unwrap();
        none("the end of a worktree");
    }
}

/// Everything that we do with a worktree in which Codex has worked.
async fn in_worktree(hostile: &Hostile, git: &Git, top: &Path, worktree: &Worktree) {
    let none = |what: &str| {
        let marks = hostile.marks();
        assert!(marks.is_empty(), "{what} ran {}", marks.join("\n"));
    };
    write(&worktree.path, "new.txt", "work\n");
    write(&worktree.path, ".gitattributes", hostile.attributes());
    // As if something had written in its git folder, which is closed to Codex.
    hostile.arm(&worktree.git_dir);
    fs::copy(worktree.git_dir.join("config"), worktree.git_dir.join("config.worktree")).unwrap();
    fs::write(worktree.git_dir.join("commondir"), ".\n").unwrap();
    assert!(worktree.extent(git).await.unwrap().files_changed >= 2);
    none("the extent");
    assert!(worktree.difference(git, 1 << 20).await.unwrap().0.contains("+work"));
    none("the difference");
    worktree.ignored(git).await.unwrap();
    assert!(worktree.is_only_there(git, None).await.unwrap());
    none("whether it is only there");
    let inside = git.inside(worktree, &worktree.path);
    inside.changes(&ReviewTarget::UncommittedChanges, &[], 1 << 20).await.unwrap();
    none("a review in the worktree");
    let place = worktree.path.with_file_name(format!("f-{}", uuid::Uuid::new_v4().simple()));
    let forked = git.repository(top).add_worktree(&place, "f", Begin::Like(worktree)).await;
    let forked = forked.unwrap().0;
    none("a fork");
    assert_eq!(fs::read_to_string(forked.path.join("new.txt")).unwrap(), "work\n");
    forked.keep(git).await.unwrap();
    none("keeping");
    let (files, applied) = worktree.merge(git, None).await.unwrap();
    assert!(files.contains(&"new.txt".to_owned()), "{files:?}");
    none("applying");
    let again = worktree.merge(git, Some(&applied)).await.unwrap();
    assert_eq!(again.0, Vec::<String>::new());
    none("applying again");
    fs::remove_file(top.join("new.txt")).unwrap();
    fs::remove_file(top.join(".gitattributes")).unwrap();
    drop(forked.remove(git).await);
}

/// A repository with changes, and the revisions to look at in it: one that is signed and one that is missing.
fn changed(user: &User, hostile: &Hostile) -> Vec<String> {
    let tree = user.git(&["rev-parse", "HEAD~1^{tree}"]);
    let signed = hostile.signed_commit(&user.top(), &tree);
    user.write("a.txt", "changed\n");
    user.write("untracked.txt", "new\n");
    vec!["HEAD".to_owned(), signed, "0123456789012345678901234567890123456789".to_owned()]
}

#[tokio::test]
async fn nothing_runs_that_the_reviewed_repository_names() {
    let user = User::new();
    let hostile = Hostile::new(&user.at("hostile"));
    let revisions = changed(&user, &hostile);
    let control = user.at("control");
    fs::create_dir(&control).unwrap();
    user.git_in(&control, &["init", "-q"]);
    write(&control, ".gitattributes", hostile.attributes());
    hostile.arm(&control.join(".git"));
    hostile.control(&control);
    hostile.arm_with_every_key(&user.top().join(".git"));
    everything(&user, &hostile, &user.ours(), &user.top(), &revisions).await;
}

#[tokio::test]
async fn nothing_runs_that_an_included_file_or_the_worktrees_own_settings_name() {
    let user = User::new();
    let hostile = Hostile::new(&user.at("hostile"));
    let revisions = changed(&user, &hostile);
    let included = hostile.included();
    let config = user.top().join(".git/config");
    let text = fs::read_to_string(&config).unwrap();
    let included = included.display();
    fs::write(
        &config,
        format!(
            "{text}[include]\n\tpath = {included}\n[includeIf \"gitdir:**\"]\n\tpath = {included}\n\
             [extensions]\n\tworktreeConfig = true\n"
        ),
    )
    .unwrap();
    hostile.arm(&user.at("hostile"));
    fs::copy(user.at("hostile/config"), user.top().join(".git/config.worktree")).unwrap();
    fs::create_dir_all(user.top().join(".git/info")).unwrap();
    fs::write(user.top().join(".git/info/attributes"), hostile.attributes()).unwrap();
    everything(&user, &hostile, &user.ours(), &user.top(), &revisions).await;
}

/// The review's worst: a command inside Codex's sandbox makes a repository inside the one that we look at.
#[tokio::test]
async fn nothing_runs_that_a_repository_inside_names() {
    let user = User::new();
    let hostile = Hostile::new(&user.at("hostile"));
    let evil = |folder: &Path| {
        fs::create_dir_all(folder).unwrap();
        user.git_in(folder, &["init", "-q"]);
        write(folder, "inner.txt", "inner\n");
        user.git_in(folder, &["add", "."]);
        user.git_in(folder, &["commit", "-qm", "inner"]);
        write(folder, ".gitattributes", hostile.attributes());
        write(folder, "inner.txt", "inner changed\n");
    };
    // As Codex can make it; as a submodule that says itself that it wants to be looked into; by a `.git` that is a file
    // or a link; by one without a commit; and one that stands where a file was.
    let top = user.top();
    for name in ["sub", "module", "by-file", "by-link"] {
        evil(&top.join(name));
    }
    user.git(&["-c", "advice.addEmbeddedRepo=false", "add", "module"]);
    let modules =
        "[submodule \"x\"]\n\tpath = module\n\turl = ./module\n\tignore = none\n\tupdate = !env\n";
    user.write(".gitmodules", modules);
    user.git(&["add", ".gitmodules"]);
    user.git(&["commit", "-qm", "a submodule"]);
    for name in ["by-file", "by-link"] {
        fs::rename(top.join(name).join(".git"), user.at(name)).unwrap();
    }
    let elsewhere = user.at("by-file");
    fs::write(top.join("by-file/.git"), format!("gitdir: {}\n", elsewhere.display())).unwrap();
    symlink(user.at("by-link"), top.join("by-link/.git")).unwrap();
    fs::create_dir(top.join("empty")).unwrap();
    user.git_in(&top.join("empty"), &["init", "-q"]);
    let revisions = changed(&user, &hostile);
    for git_dir in ["sub/.git", "module/.git", "empty/.git"] {
        hostile.arm(&top.join(git_dir));
    }
    hostile.arm(&user.at("by-file"));
    hostile.arm(&user.at("by-link"));
    hostile.control(&top.join("sub"));
    let snapshot = user.ours().repository(&top).snapshot().await.unwrap();
    assert_eq!(snapshot.submodules, ["module"]);
    assert_eq!(snapshot.nested, ["by-file", "by-link", "empty", "sub"]);
    everything(&user, &hostile, &user.ours(), &top, &revisions).await;
    fs::remove_file(top.join("b.txt")).unwrap();
    fs::rename(top.join("sub"), top.join("b.txt")).unwrap();
    user.ours().repository(&top).snapshot().await.unwrap();
    assert!(hostile.marks().is_empty(), "{:?}", hostile.marks());
}

/// A directory can also look like a bare repository whose working tree is somewhere else.
#[tokio::test]
async fn a_repository_cannot_say_that_its_files_are_elsewhere() {
    let user = User::new();
    let bare = user.top().join("looks-bare");
    user.git(&["init", "-q", "--bare", "looks-bare"]);
    let config = bare.join("config");
    let text = fs::read_to_string(&config).unwrap().replace("bare = true", "bare = false");
    let victim = user.at("home");
    fs::write(config, format!("{text}\tworktree = {}\n", victim.display())).unwrap();
    let repository = user.ours().repository(&bare);
    let error = repository.changes(&ReviewTarget::UncommittedChanges, &[], 1 << 20).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("is in no git repository"), "{error}");
}

/// Where a repository is in a folder that commands can write: pipes without a writer and links to other files.
#[tokio::test]
async fn a_worktrees_git_folder_stops_nobody_and_leads_nowhere() {
    let user = User::new();
    let git = user.ours();
    let place = user.at("worktrees").join("w");
    let (worktree, _) =
        git.repository(&user.top()).add_worktree(&place, "w", Begin::At(None)).await.unwrap();
    let victim = user.at("home/victim");
    fs::write(&victim, "mine\n").unwrap();
    for name in ["commondir", "gitdir"] {
        fs::remove_file(worktree.git_dir.join(name)).unwrap();
        symlink(&victim, worktree.git_dir.join(name)).unwrap();
    }
    let head = worktree.git_dir.join("HEAD");
    fs::remove_file(&head).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &head, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    assert!(!worktree.is_only_there(&git, None).await.unwrap());
    worktree.remove(&git).await.unwrap();
    assert!(!place.exists());
}

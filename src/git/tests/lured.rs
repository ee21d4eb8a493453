//! What Codex can write leads us nowhere: links in git folders, branches that stand for others, files without end.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};

use super::{User, files, write};
use crate::git::{Begin, ReviewTarget};

const UNCOMMITTED: ReviewTarget = ReviewTarget::UncommittedChanges;

#[tokio::test]
async fn a_link_in_the_git_folder_is_neither_read_nor_written_through() {
    for held in [
        "refs",
        "refs/heads",
        "refs/heads/codex",
        "refs/tags",
        "refs/tags/one",
        "packed-refs",
        "objects",
        "objects/info",
        "objects/ab",
        "objects/pack/pack-x.pack",
        "info",
        "lfs/objects",
    ] {
        let user = User::new();
        user.git(&["pack-refs", "--all"]);
        let place = user.top().join(".git").join(held);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let elsewhere = user.at("elsewhere");
        if place.exists() {
            fs::rename(&place, &elsewhere).unwrap();
        } else {
            fs::create_dir(&elsewhere).unwrap();
        }
        symlink(&elsewhere, &place).unwrap();
        user.write("a.txt", "changed\n");
        let before = files(&elsewhere);
        let git = user.ours();
        let repository = git.repository(&user.top());
        let error = repository.changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap_err().to_string();
        assert!(error.contains("is a link"), "{held}: {error}");
        let made = repository.add_worktree(&user.at("worktrees/w"), "w", Begin::At(None)).await;
        assert!(made.unwrap_err().to_string().contains("is a link"), "{held}");
        assert_eq!(files(&elsewhere), before, "{held}");
    }
}

#[tokio::test]
async fn a_worktree_is_made_through_no_link() {
    for laid in ["refs/heads/codex", "worktrees"] {
        let user = User::new();
        let (git, elsewhere) = (user.ours(), user.at("elsewhere"));
        fs::create_dir(&elsewhere).unwrap();
        let place = user.top().join(".git").join(laid);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(&elsewhere, &place).unwrap();
        let made = git
            .repository(&user.top())
            .add_worktree(&user.at("worktrees/w"), "w", Begin::At(None))
            .await;
        let error = made.unwrap_err();
        assert!(error.to_string().contains("is a link"), "{laid}: {error}");
        assert_eq!(files(&elsewhere).len(), 0, "{laid}");
    }
}

#[tokio::test]
async fn a_branch_that_stands_for_another_takes_that_nowhere() {
    let user = User::new();
    let git = user.ours();
    let main = user.git(&["rev-parse", "main"]);
    let repository = git.repository(&user.top());
    for keeps in [false, true] {
        let name = format!("s{keeps}");
        let place = user.at("worktrees").join(&name);
        let (worktree, _) = repository.add_worktree(&place, &name, Begin::At(None)).await.unwrap();
        let branch = user.top().join(".git/refs/heads").join(&worktree.branch);
        fs::write(branch, "ref: refs/heads/main\n").unwrap();
        write(&place, "new.txt", "work\n");
        if keeps {
            worktree.keep(&git).await.unwrap();
            let kept = user.git(&["show", &format!("{}:new.txt", worktree.branch)]);
            assert_eq!(kept, "work");
        } else {
            worktree.remove(&git).await.unwrap();
        }
        assert_eq!(user.git(&["rev-parse", "main"]), main);
    }
}

/// A sparse file costs its maker nothing; git appends to the log of a branch that it makes.
#[tokio::test]
async fn what_is_laid_in_the_git_folder_costs_nothing_and_is_not_appended_to() {
    let user = User::new();
    for number in 0..3 {
        let shared = File::create(user.top().join(format!(".git/sharedindex.{number:040}")));
        shared.unwrap().set_len(3 << 30).unwrap();
    }
    let victim = user.at("home/victim");
    fs::write(&victim, "mine\n").unwrap();
    let logs = user.top().join(".git/logs/refs/heads/codex");
    fs::create_dir_all(&logs).unwrap();
    symlink(&victim, logs.join("w")).unwrap();
    user.write("a.txt", "changed\n");
    let git = user.ours();
    let repository = git.repository(&user.top());
    repository.changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap();
    let (worktree, _) =
        repository.add_worktree(&user.at("worktrees/w"), "w", Begin::At(None)).await.unwrap();
    worktree.remove(&git).await.unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    // A repository without logs is as good.
    fs::remove_dir_all(user.top().join(".git/logs")).unwrap();
    repository.add_worktree(&user.at("worktrees/x"), "x", Begin::At(None)).await.unwrap();
}

#[tokio::test]
async fn what_a_repository_says_of_files_elsewhere_is_not_read() {
    let user = User::new();
    let secret = user.at("home/secret");
    fs::write(&secret, "topsecret!line working-tree-encoding=UTF-16\n").unwrap();
    for key in ["core.attributesFile", "core.excludesFile"] {
        user.git(&["config", key, secret.to_str().unwrap()]);
    }
    user.write("a.txt", "changed\n");
    // With a large size a merge takes gigabytes, or crashes.
    user.write(".gitattributes", "* conflict-marker-size=1431655766\n");
    let git = user.ours();
    let repository = git.repository(&user.top());
    let changes = repository.changes(&UNCOMMITTED, &[], 1 << 20).await.unwrap().unwrap();
    assert!(changes.diff.contains("+changed"));
    let (worktree, _) =
        repository.add_worktree(&user.at("worktrees/w"), "w", Begin::WithChanges).await.unwrap();
    user.write("a.txt", "ours\n");
    write(&worktree.path, "a.txt", "theirs\n");
    let conflict = worktree.merge(&git, None).await.unwrap_err().to_string();
    assert!(conflict.contains("changed on both sides: a.txt"), "{conflict}");
}

/// All folders that git would read are said, also those that an alternate names; what cannot be read as git does is refused.
#[tokio::test]
async fn no_alternate_is_hidden() {
    let user = User::new();
    let (near, far) = (user.at("near"), user.at("far"));
    user.git(&["clone", "-q", ".", far.to_str().unwrap()]);
    user.git_in(&far, &["clone", "-q", "--shared", ".", near.to_str().unwrap()]);
    let alternates = user.top().join(".git/objects/info/alternates");
    fs::create_dir_all(alternates.parent().unwrap()).unwrap();
    fs::write(&alternates, format!("{}\n", near.join(".git/objects").display())).unwrap();
    let git = user.ours();
    let folders = git.repository(&user.top()).folders().await.unwrap();
    assert!(folders.iter().any(|folder| folder.starts_with(&far)), "{folders:?}");
    for odd in ["\"/quoted\"\n".to_owned(), "/x\n".repeat(40_000)] {
        fs::write(&alternates, odd).unwrap();
        let error = git.repository(&user.top()).folders().await.unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}

/// A worktree's changes go where the worktree was made, whatever stands there by then.
#[tokio::test]
async fn another_repository_in_the_place_of_the_users_gets_nothing() {
    for attack in ["core.worktree", "another git folder", "a link"] {
        let user = User::new();
        let git = user.ours();
        let top = user.top();
        let (worktree, _) = git
            .repository(&top)
            .add_worktree(&user.at("worktrees/w"), "w", Begin::At(None))
            .await
            .unwrap();
        write(&worktree.path, "top/new.txt", "work\n");
        write(&worktree.path, "new.txt", "work\n");
        let victim = user.at("victim");
        user.git(&["clone", "-q", ".", victim.to_str().unwrap()]);
        user.git_in(&victim, &["branch", &worktree.branch]);
        match attack {
            "core.worktree" => {
                let above = top.parent().unwrap().to_str().unwrap();
                drop(user.git(&["config", "core.worktree", above]));
            }
            "another git folder" => {
                fs::rename(top.join(".git"), user.at("was")).unwrap();
                let said = format!("gitdir: {}\n", victim.join(".git").display());
                fs::write(top.join(".git"), said).unwrap();
            }
            _ => {
                fs::rename(top.join(".git"), user.at("was")).unwrap();
                symlink(victim.join(".git"), top.join(".git")).unwrap();
            }
        }
        let before = (files(&victim), files(top.parent().unwrap()).len());
        assert!(worktree.merge(&git, None).await.is_err(), "{attack}");
        assert!(worktree.remove(&git).await.is_err(), "{attack}");
        let branch = user.git_in(&victim, &["rev-parse", &worktree.branch]);
        assert!(!branch.is_empty(), "{attack}");
        assert_eq!(files(&victim), before.0, "{attack}");
        assert!(!top.parent().unwrap().join("new.txt").exists(), "{attack}");
        assert!(!top.join("new.txt").exists(), "{attack}");
    }
}

/// Git refuses to write through a link, and then nothing is undone through it either.
#[tokio::test]
async fn what_is_undone_is_not_undone_through_a_link() {
    let user = User::new();
    let git = user.ours();
    let repository = git.repository(&user.top());
    let (worktree, _) =
        repository.add_worktree(&user.at("worktrees/w"), "w", Begin::At(None)).await.unwrap();
    let victim = user.at("victim");
    write(&victim, "precious", "mine\n");
    write(&worktree.path, "out/precious", "mine\n");
    symlink(&victim, user.top().join("out")).unwrap();
    fs::write(user.top().join(".gitignore"), "out\n").unwrap();
    worktree.merge(&git, None).await.unwrap_err();
    assert_eq!(fs::read_to_string(victim.join("precious")).unwrap(), "mine\n");
}

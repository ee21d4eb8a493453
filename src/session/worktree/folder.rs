//! The folder that worktrees are in: making, removing and sweeping them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    note::{self, Note},
    plan::WorktreeRequest,
};
use crate::{
    git::{Begin, Git, RepositoryError},
    session::{
        SessionError, SessionName,
        record::{SessionRecord, WorktreeRecord, WorktreeState},
        store::{Page, Store, StoreError},
    },
    system::private_folder,
};

/// How many sessions are looked at together.
const PAGE: u32 = 1000;

/// How much of a session's name is in the name of its worktree.
const NAME: usize = 40;

/// The worktrees of one store's sessions.
#[derive(Debug, Clone)]
pub(in crate::session) struct Worktrees {
    folder: PathBuf,
    store: String,
    git: Git,
}

impl Worktrees {
    pub(in crate::session) fn new(folder: PathBuf, store: String, git: Git) -> Self {
        Self { folder, store, git }
    }

    /// Makes a worktree for a session, of the repository that `directory` is in. Returns it and what to know besides.
    pub(in crate::session) async fn add(
        &self,
        session: &SessionName,
        directory: &Path,
        request: &WorktreeRequest,
    ) -> Result<(WorktreeRecord, Vec<String>), SessionError> {
        let begin = match request {
            WorktreeRequest { changes: true, .. } => Begin::WithChanges,
            WorktreeRequest { base, .. } => Begin::At(base.as_deref()),
        };
        self.make(session, directory, begin).await
    }

    /// Makes a worktree for a session that is forked from one with this worktree.
    pub(in crate::session) async fn fork(
        &self,
        session: &SessionName,
        other: &WorktreeRecord,
    ) -> Result<WorktreeRecord, SessionError> {
        if !other.path.is_dir() {
            return Err(SessionError::WorktreeGone { path: other.path.clone() });
        }
        Ok(self.make(session, &other.root, Begin::Like(&other.worktree())).await?.0)
    }

    async fn make(
        &self,
        session: &SessionName,
        directory: &Path,
        begin: Begin<'_>,
    ) -> Result<(WorktreeRecord, Vec<String>), SessionError> {
        let failed = |error: std::io::Error| {
            let action = "make a folder for worktrees";
            SessionError::from(RepositoryError::Failed { action, reason: error.to_string() })
        };
        private_folder(&self.folder).map_err(failed)?;
        let name: String = session.as_str().chars().take(NAME).collect();
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = self.folder.join(format!("{name}-{}", id.get(..8).unwrap_or(&id)));
        let note = |worktree: &WorktreeRecord| {
            let (session, store) = (session.clone(), self.store.clone());
            Note { session, store, worktree: worktree.clone() }.write()
        };
        // First of all, so that the sweep finds what is left if this server is killed now.
        note(&WorktreeRecord::planned(&path, directory)).map_err(failed)?;
        let made =
            self.git.repository(directory).add_worktree(&path, session.as_str(), begin).await;
        let (made, warnings) = match made {
            Ok(made) => made,
            Err(error) => {
                note::remove(&path).map_err(failed)?;
                return Err(error.into());
            }
        };
        let worktree = WorktreeRecord::new(made);
        if let Err(error) = note(&worktree) {
            self.remove(&worktree).await?;
            return Err(failed(error));
        }
        tracing::info!(session = %session, branch = worktree.branch, "worktree made");
        Ok((worktree, warnings))
    }

    /// Removes a worktree and its branch, whatever is in them.
    pub(in crate::session) async fn remove(
        &self,
        worktree: &WorktreeRecord,
    ) -> Result<(), SessionError> {
        worktree.worktree().remove(&self.git).await?;
        note::remove(&worktree.path).map_err(|error| {
            let action = "remove a worktree";
            RepositoryError::Failed { action, reason: error.to_string() }.into()
        })
    }

    /// Removes the worktrees of sessions that are gone. What is nowhere else stays, on its branch.
    pub(in crate::session) async fn sweep(&self, store: &dyn Store) {
        for (note, is_settled) in self.notes().await {
            // If it cannot be told, it is in use.
            if !is_settled || !matches!(owner_of(&note, store).await, Ok(None)) {
                continue;
            }
            let Note { session, worktree, .. } = note;
            let done = match is_only_there(&self.git, &worktree).await {
                Ok(true) => self.keep(&session, &worktree).await,
                Ok(false) => self.remove(&worktree).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tracing::warn!(session = %session, path = %worktree.path.display(), error = &error as &dyn std::error::Error, "a worktree is left over");
            }
        }
    }

    /// All worktrees: where each is, its session, and whether that does not have it any more.
    pub(in crate::session) async fn list(&self, store: &dyn Store) -> Vec<ListedWorktree> {
        let mut all = Vec::new();
        for (note, _) in self.notes().await {
            let owner = owner_of(&note, store).await;
            let is_left_over = matches!(owner, Ok(None));
            let session = owner.ok().flatten().unwrap_or(note.session);
            all.push(ListedWorktree { session, worktree: note.worktree, is_left_over });
        }
        all
    }

    async fn notes(&self) -> Vec<(Note, bool)> {
        let (folder, place) = (self.folder.clone(), self.store.clone());
        let notes = tokio::task::spawn_blocking(move || note::all(&folder, &place)).await;
        notes.unwrap_or_default()
    }

    async fn keep(
        &self,
        session: &SessionName,
        worktree: &WorktreeRecord,
    ) -> Result<(), SessionError> {
        let WorktreeRecord { path, branch, root, .. } = worktree;
        if path.is_dir() {
            worktree.worktree().keep(&self.git).await?;
        }
        tracing::warn!(
            session = %session,
            branch,
            repository = %root.display(),
            "a session is gone whose changes were not applied; they are kept on its branch"
        );
        note::remove(path).map_err(|error| {
            let action = "remove a worktree";
            RepositoryError::Failed { action, reason: error.to_string() }.into()
        })
    }
}

/// A worktree that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWorktree {
    /// The session that has it, or had.
    pub session: SessionName,
    /// Where it is, and what of.
    pub worktree: WorktreeRecord,
    /// Whether its session is gone or has it no more.
    pub is_left_over: bool,
}

/// The session that has a worktree. The note names it as it was when it was made; renamed since, also by a server on
/// another machine, it is found among all.
///
/// # Errors
/// If it cannot be told: a session whose record is damaged may have it.
async fn owner_of(note: &Note, store: &dyn Store) -> Result<Option<SessionName>, StoreError> {
    let has_it = |record: &SessionRecord| {
        let worktree = record.details.worktree.as_ref();
        worktree.is_some_and(|worktree| worktree.path == note.worktree.path)
    };
    let now = Timestamp::now();
    if store.load(&note.session, now).await?.is_some_and(|record| has_it(&record)) {
        return Ok(Some(note.session.clone()));
    }
    let mut page = Page::first(PAGE);
    loop {
        let listing = store.list(&page, now).await?;
        if let Some(record) = listing.sessions.iter().find(|record| has_it(record)) {
            return Ok(Some(record.name.clone()));
        }
        if let Some(name) = listing.damaged.first() {
            let reason = "it may have a worktree".to_owned();
            return Err(StoreError::Damaged { name: name.clone(), reason });
        }
        match listing.next {
            Some(next) => page.after = Some(next),
            None => return Ok(None),
        }
    }
}

/// Whether something in the worktree is nowhere else.
pub(super) async fn is_only_there(
    git: &Git,
    worktree: &WorktreeRecord,
) -> Result<bool, SessionError> {
    let WorktreeRecord { path, root, applied, .. } = worktree;
    if !worktree.is_made() {
        return Ok(false);
    }
    if !root.is_dir() {
        // Without its repository nobody can say what is new in it.
        return Ok(path.is_dir());
    }
    Ok(worktree.worktree().is_only_there(git, applied.as_deref()).await?)
}

/// What is in a worktree now.
pub(in crate::session) async fn state(
    git: &Git,
    worktree: &WorktreeRecord,
) -> Result<WorktreeState, SessionError> {
    let WorktreeRecord { path, branch, base, .. } = worktree.clone();
    if !path.is_dir() {
        return Err(SessionError::WorktreeGone { path });
    }
    let extent = worktree.worktree().extent(git).await?;
    Ok(WorktreeState {
        path,
        branch,
        base,
        files_changed: extent.files_changed,
        insertions: extent.insertions,
        deletions: extent.deletions,
    })
}

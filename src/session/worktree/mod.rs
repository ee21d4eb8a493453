//! Working apart: sessions whose turns run in a git worktree of their own, so that they touch nobody.
//!
//! A worktree is below the server's state folder, with a note beside it that says whose it is. The session's record
//! has it too; where the two disagree, because a server was killed in between or a session is gone, the sweep tidies
//! up. What is nowhere else is never removed without `force`: the sweep keeps it on its branch.

mod actions;
mod folder;
mod note;
mod plan;

pub use actions::WorktreeAction;
pub(super) use actions::check_removal;
pub(super) use folder::{Worktrees, state};
pub use plan::WorktreeRequest;

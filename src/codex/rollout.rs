//! Codex's rollouts, the files that hold the history of threads, as they are carried from one folder of Codex to another.
//!
//! A rollout is only ever appended to (observed, 0.50 to 0.169). That of a forked thread may need those of the threads
//! it comes from. Knows nothing of where rollouts are kept in between.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use super::{ids::ThreadId, record, supervise::Codex};
use crate::system::missing_folders;

/// How many threads one can come from, each forked from the next.
const DEEPEST: usize = 32;

/// How much of a line is read to see which thread another was forked from.
const HEAD: u64 = 1024 * 1024;

/// The folder of the locks that Codex takes on the threads it has loaded (from 0.147).
const LOCKS: &str = "thread-writer-locks";

/// A rollout on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Whose history it is.
    pub thread: ThreadId,
    /// Where it lies below Codex's folder, with `/` in between.
    pub path: String,
    file: PathBuf,
}

/// What was laid into Codex's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Laid {
    /// The rollout.
    Whole,
    /// The rollout. The one that was there had gone another way, and is now this file.
    Aside(PathBuf),
    /// Nothing: the one that is there has more.
    Nothing,
}

/// Why a rollout could not be read or laid.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// The file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is longer than the caller takes.
    #[error("it has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        limit: u64,
    },
    /// No rollout of this thread can lie there.
    #[error("`{path}` is no place for a rollout of thread {thread}")]
    Place { path: String, thread: ThreadId },
    /// Another process has the thread loaded.
    #[error("thread {thread} already has an active writer")]
    ActiveWriter { thread: ThreadId },
}

impl Codex {
    /// The rollout of a thread, then those of the threads it was forked from, as far as they are here.
    pub async fn rollouts(&self, thread: &ThreadId) -> Vec<Rollout> {
        let (home, thread) = (self.home().to_owned(), thread.clone());
        let found = tokio::task::spawn_blocking(move || with_origins(&home, thread)).await;
        found.unwrap_or_default()
    }

    /// Lays a rollout at `path`, below Codex's folder, in place of one that it begins with. One that has gone another
    /// way is set aside.
    ///
    /// # Errors
    /// [`RolloutError`]; then nothing has changed.
    pub async fn lay_rollout(
        &self,
        thread: &ThreadId,
        path: &str,
        data: Vec<u8>,
    ) -> Result<Laid, RolloutError> {
        let (home, thread, path) = (self.home().to_owned(), thread.clone(), path.to_owned());
        blocking(move || lay(&home, &thread, &path, &data)).await
    }
}

impl Rollout {
    /// Its whole lines from `start` on, which is where a line begins. `None` if it does not reach so far.
    ///
    /// # Errors
    /// [`RolloutError::File`], or [`RolloutError::TooLong`] if all of it is longer than `limit`.
    pub async fn read(&self, start: u64, limit: u64) -> Result<Option<Vec<u8>>, RolloutError> {
        let file = self.file.clone();
        blocking(move || read(&file, start, limit)).await
    }
}

#[cfg(test)]
impl Rollout {
    /// One that lies anywhere.
    pub(crate) fn at(thread: ThreadId, file: PathBuf) -> Self {
        Self { thread, path: "sessions/rollout.jsonl".to_owned(), file }
    }
}

impl Rollout {
    /// Its first `bytes` bytes, and how long it is. `None` if it is shorter.
    ///
    /// # Errors
    /// [`RolloutError::File`].
    pub async fn beginning(&self, bytes: u64) -> Result<Option<(Vec<u8>, u64)>, RolloutError> {
        let file = self.file.clone();
        blocking(move || {
            let wrong = || failed("read", &file);
            let open = File::open(&file).map_err(wrong())?;
            let length = open.metadata().map_err(wrong())?.len();
            let mut data = Vec::new();
            open.take(bytes).read_to_end(&mut data).map_err(wrong())?;
            Ok((data.len() as u64 == bytes).then_some((data, length)))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RolloutError> + Send + 'static,
) -> Result<T, RolloutError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| {
        Err(failed("work on", Path::new("a rollout"))(io::Error::other(ended)))
    })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RolloutError {
    let path = path.to_owned();
    move |source| RolloutError::File { action, path, source }
}

fn with_origins(home: &Path, thread: ThreadId) -> Vec<Rollout> {
    let mut found: Vec<Rollout> = Vec::new();
    let mut next = Some(thread);
    while let Some(thread) = next
        && found.len() < DEEPEST
        && found.iter().all(|rollout| rollout.thread != thread)
        && let Some(file) = record::anywhere(home, &thread)
    {
        next = forked_from(&file);
        if let Some(path) = relative(home, &file) {
            found.push(Rollout { thread, path, file });
        }
    }
    found
}

/// The first line of a rollout.
#[derive(Deserialize)]
struct Head {
    payload: Meta,
}

#[derive(Deserialize)]
struct Meta {
    forked_from_id: Option<ThreadId>,
}

fn forked_from(file: &Path) -> Option<ThreadId> {
    let mut line = String::new();
    BufReader::new(File::open(file).ok()?.take(HEAD)).read_line(&mut line).ok()?;
    serde_json::from_str::<Head>(&line).ok()?.payload.forked_from_id
}

fn relative(home: &Path, file: &Path) -> Option<String> {
    let parts = file.strip_prefix(home).ok()?.components();
    let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

fn read(file: &Path, start: u64, limit: u64) -> Result<Option<Vec<u8>>, RolloutError> {
    let mut open = File::open(file).map_err(failed("read", file))?;
    let bytes = open.metadata().map_err(failed("read", file))?.len();
    if bytes < start {
        return Ok(None);
    }
    if bytes > limit {
        return Err(RolloutError::TooLong { bytes, limit });
    }
    let mut data = Vec::new();
    open.seek(SeekFrom::Start(start)).map_err(failed("read", file))?;
    // Another process may be writing to it.
    open.take(bytes - start).read_to_end(&mut data).map_err(failed("read", file))?;
    let whole = data.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    data.truncate(whole);
    Ok(Some(data))
}

fn lay(home: &Path, thread: &ThreadId, path: &str, data: &[u8]) -> Result<Laid, RolloutError> {
    let fresh = place(home, thread, path)?;
    let _locked = lock(home, thread)?;
    let there = record::anywhere(home, thread);
    let file = there.clone().unwrap_or(fresh);
    let wrong = || failed("write", &file);
    let mut laid = Laid::Whole;
    if there.is_some() {
        let known = fs::read(&file).map_err(failed("read", &file))?;
        if known.starts_with(data) {
            return Ok(Laid::Nothing);
        }
        if !data.starts_with(&known) {
            // Never over an earlier one.
            let mut names =
                (1..).map(|number| file.with_extension(format!("jsonl.{number}.aside")));
            laid = names.find(|name| !name.exists()).map_or(Laid::Whole, Laid::Aside);
        }
    }
    let folder = file.parent().unwrap_or(home);
    missing_folders(folder).map_err(wrong())?;
    // Readable for its user alone, as Codex's folder is.
    let mut whole = tempfile::NamedTempFile::new_in(folder).map_err(wrong())?;
    whole.write_all(data).and_then(|()| whole.as_file().sync_all()).map_err(wrong())?;
    if let Laid::Aside(aside) = &laid {
        fs::copy(&file, aside).map_err(failed("write", aside))?;
    }
    whole.persist(&file).map_err(|error| wrong()(error.error))?;
    Ok(laid)
}

/// Where a rollout of another machine may be laid: where Codex itself has those of this thread, and nowhere else.
fn place(home: &Path, thread: &ThreadId, path: &str) -> Result<PathBuf, RolloutError> {
    let relative = Path::new(path);
    let mut parts = relative.components();
    let folder = parts.next();
    let is_below =
        record::FOLDERS.iter().any(|name| folder == Some(Component::Normal(name.as_ref())))
            && parts.all(|part| matches!(part, Component::Normal(_)));
    let is_plain = thread.0.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let name = relative.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is_below
        && is_plain
        && name.starts_with("rollout-")
        && name.ends_with(&format!("-{thread}.jsonl"))
    {
        Ok(home.join(relative))
    } else {
        Err(RolloutError::Place { path: path.to_owned(), thread: thread.clone() })
    }
}

/// Keeps every Codex that locks its threads from loading this one, until the file is dropped.
fn lock(home: &Path, thread: &ThreadId) -> Result<Option<File>, RolloutError> {
    let folder = home.join(LOCKS);
    if !folder.is_dir() {
        return Ok(None);
    }
    let path = folder.join(format!("{thread}.lock"));
    // Codex's own, with the rights that Codex gives it.
    let mut options = File::options();
    let file = options.create(true).append(true).open(&path).map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => {
            Err(RolloutError::ActiveWriter { thread: thread.clone() })
        }
        Err(fs::TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "sessions/2026/11/28/rollout-2026-11-28T08-00-00-t.jsonl";

    fn thread() -> ThreadId {
        ThreadId("t".into())
    }

    #[test]
    fn a_rollout_is_laid_where_it_belongs_and_over_one_that_is_behind() {
        let home = tempfile::tempdir().unwrap();
        let lay = |data: &str| super::lay(home.path(), &thread(), PATH, data.as_bytes());
        let now = || fs::read_to_string(home.path().join(PATH)).unwrap();
        assert_eq!(lay("one\n").unwrap(), Laid::Whole);
        assert_eq!(lay("one\ntwo\n").unwrap(), Laid::Whole);
        assert_eq!(now(), "one\ntwo\n");
        assert_eq!(lay("one\n").unwrap(), Laid::Nothing);
        assert_eq!(now(), "one\ntwo\n");
        let Laid::Aside(aside) = lay("one\nthree\n").unwrap() else {
            panic!("it went another way")
        };
        assert_eq!(
            (now().as_str(), fs::read_to_string(&aside).unwrap().as_str()),
            ("one\nthree\n", "one\ntwo\n")
        );
        let names = fs::read_dir(home.path().join(PATH).parent().unwrap()).unwrap();
        assert_eq!(names.count(), 2, "nothing else is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(home.path().join(PATH)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn one_that_a_codex_has_loaded_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(LOCKS)).unwrap();
        let held = lock(home.path(), &thread()).unwrap();
        let laid = lay(home.path(), &thread(), PATH, b"one\n");
        assert!(matches!(laid, Err(RolloutError::ActiveWriter { .. })), "{laid:?}");
        drop(held);
        assert_eq!(lay(home.path(), &thread(), PATH, b"one\n").unwrap(), Laid::Whole);
    }

    #[test]
    fn nothing_is_laid_anywhere_else() {
        let home = tempfile::tempdir().unwrap();
        for path in [
            "/etc/rollout-x-t.jsonl",
            "sessions/../../rollout-x-t.jsonl",
            "sessions/rollout-x-other.jsonl",
            "sessions/config-t.jsonl",
            "config.toml",
            "",
        ] {
            let laid = lay(home.path(), &thread(), path, b"one\n");
            assert!(matches!(laid, Err(RolloutError::Place { .. })), "{path}: {laid:?}");
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn whole_lines_are_read_as_far_as_they_go() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("r");
        fs::write(&file, "one\ntwo\nhal").unwrap();
        assert_eq!(read(&file, 0, 99).unwrap().unwrap(), b"one\ntwo\n");
        assert_eq!(read(&file, 4, 99).unwrap().unwrap(), b"two\n");
        assert_eq!(read(&file, 8, 99).unwrap().unwrap(), b"");
        assert_eq!(read(&file, 99, 99).unwrap(), None);
        assert!(matches!(read(&file, 0, 5), Err(RolloutError::TooLong { bytes: 11, limit: 5 })));
    }

    #[test]
    fn the_threads_one_comes_from_are_found() {
        let home = tempfile::tempdir().unwrap();
        let day = home.path().join("sessions/2026/11/28");
        fs::create_dir_all(&day).unwrap();
        for (thread, from) in [("t", "\"u\""), ("u", "\"v\""), ("v", "null"), ("w", "\"w\"")] {
            let head =
                format!("{{\"payload\":{{\"id\":\"{thread}\",\"forked_from_id\":{from}}}}}\n");
            fs::write(day.join(format!("rollout-x-{thread}.jsonl")), head).unwrap();
        }
        let threads = |thread: &str| {
            let found = with_origins(home.path(), ThreadId(thread.into()));
            found.into_iter().map(|rollout| rollout.thread.0).collect::<String>()
        };
        assert_eq!(["t", "v", "w", "x"].map(threads), ["tuv", "v", "w", ""]);
        let path = &with_origins(home.path(), thread())[0].path;
        assert_eq!(path, "sessions/2026/11/28/rollout-x-t.jsonl");
    }
}

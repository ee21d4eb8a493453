//! Writes files of the user's: all of them or none. Knows nothing of git: what is to be there is given as files.
//!
//! Everything is prepared first, in a folder of ours on the same file system: what cannot be written, for rights or
//! for room, shows before anything has changed. Then each file changes places with its new one in one instant, so that a
//! reader sees the old or the new one, whole, also if we are killed. What comes out is looked at: if it is not what was
//! there a moment ago, it goes back, and with it all that was written before.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fmt::Display,
    io,
    path::{Path, PathBuf},
};

use super::folder::{Folder, Found};

/// How the name of our folder in the user's tree begins.
pub(super) const STAGE: &str = ".codex-mcp-server-";

/// One file to write.
#[derive(Debug)]
pub(super) struct Change {
    /// Where, below the top.
    pub(super) path: PathBuf,
    /// What is there now.
    pub(super) before: Option<Found>,
    /// A copy of what is to be there, if anything.
    pub(super) after: Option<PathBuf>,
    /// Whether the file is to be a program, if that changes.
    pub(super) executes: Option<bool>,
}

/// Why nothing was written.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    /// What the file system said, and of which file.
    pub(super) reason: String,
    /// The files that were not as they had been a moment before.
    pub(super) changed: Vec<PathBuf>,
    /// Files that are not as they were: with what is in them now, and where the old content is, if there was any.
    pub(super) left: Vec<(PathBuf, Option<PathBuf>)>,
}

/// What has been done, to be undone.
#[derive(Debug)]
enum Done {
    Taken(usize),
    Exchanged(usize),
    Put(usize),
    FolderMade(PathBuf),
    FolderRemoved(PathBuf),
}

#[derive(Debug)]
pub(super) struct Writer<'a> {
    top: &'a Path,
    changes: &'a [Change],
    /// The folder above our own one for each change, and what is in there of the new files.
    stages: Vec<PathBuf>,
    prepared: Vec<Option<Found>>,
    name: String,
    made: BTreeSet<PathBuf>,
    done: Vec<Done>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(top: &'a Path, changes: &'a [Change], name: &str) -> Self {
        let name = format!("{STAGE}{name}");
        let (stages, prepared, made) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { top, changes, stages, prepared, name, made, done: Vec::new() }
    }

    /// Finds where each file is prepared. Returns the folders of ours that this will make.
    pub(super) fn plan(&mut self) -> Result<Vec<PathBuf>, Stopped> {
        for change in self.changes {
            let stage = self.stage_of(&change.path).map_err(stopped(&change.path))?;
            self.stages.push(stage);
        }
        let folders: BTreeSet<_> = self.stages.iter().map(|it| it.join(&self.name)).collect();
        Ok(folders.into_iter().map(|it| self.top.join(it)).collect())
    }

    /// Writes all.
    ///
    /// # Errors
    /// Says why not, and what is not as it was in spite of all.
    pub(super) fn write(mut self) -> Result<(), Stopped> {
        let written = self.prepare().and_then(|()| self.commit());
        let Err(mut error) = written else {
            self.clean(&BTreeSet::new());
            return Ok(());
        };
        let kept = self.undo(&mut error);
        self.clean(&kept);
        Err(error)
    }

    /// The topmost folder on the file system that a file is on, or will be.
    fn stage_of(&self, path: &Path) -> io::Result<PathBuf> {
        let mut folder = Folder::open(self.top)?;
        let (mut device, mut here, mut stage) = (folder.device()?, PathBuf::new(), PathBuf::new());
        for name in parent_of(path) {
            // What is not there yet will be on the same one.
            let Ok(next) = folder.below(name) else { break };
            folder = next;
            here.push(name);
            if folder.device()? != device {
                device = folder.device()?;
                stage.clone_from(&here);
            }
        }
        Ok(stage)
    }

    fn prepare(&mut self) -> Result<(), Stopped> {
        for (number, change) in self.changes.iter().enumerate() {
            let staged = self.stage(number, change).map_err(stopped(&change.path))?;
            self.prepared.push(staged);
        }
        Ok(())
    }

    fn stage(&mut self, number: usize, change: &Change) -> io::Result<Option<Found>> {
        let above = self.stages.get(number).cloned().unwrap_or_default();
        if self.made.insert(above.clone()) {
            let above = self.folder(&above)?;
            above.make(OsStr::new(&self.name), true)?;
            // Then git takes no notice of it, whatever becomes of us.
            above.below(OsStr::new(&self.name))?.write(OsStr::new(".gitignore"), b"*\n")?;
        }
        let Some(after) = &change.after else { return Ok(None) };
        let (stage, name) = (self.own(number)?, number_of(number));
        let last = change.path.file_name().unwrap_or_default();
        let home = self.folder(parent_of(&change.path)).ok().filter(|_| change.before.is_some());
        let like = home.as_ref().map(|folder| (folder, last));
        stage.copy_in(&name, after, like, change.executes)?;
        stage.look(&name)
    }

    fn commit(&mut self) -> Result<(), Stopped> {
        let all = self.changes;
        let numbered = || all.iter().enumerate();
        // What goes makes room for what comes: a folder where a file was, a file where a folder was.
        for (number, change) in numbered().filter(|(_, change)| change.after.is_none()) {
            self.take(number, change)?;
        }
        for (_, change) in numbered().filter(|(_, change)| change.after.is_none()) {
            self.remove_emptied(parent_of(&change.path));
        }
        for (number, change) in numbered().filter(|(_, change)| change.after.is_some()) {
            if change.before.is_some() {
                self.exchange(number, change)?;
            } else {
                self.put(number, change)?;
            }
        }
        // A program that had one open could still write into it.
        for (number, change) in numbered().filter(|(_, change)| change.before.is_some()) {
            self.check(number, change)?;
        }
        Ok(())
    }

    fn take(&mut self, number: usize, change: &Change) -> Result<(), Stopped> {
        let taken = || {
            let home = self.folder(parent_of(&change.path))?;
            home.move_to(name_of(&change.path), &self.own(number)?, &number_of(number))
        };
        taken().map_err(stopped(&change.path))?;
        self.done.push(Done::Taken(number));
        self.check(number, change)
    }

    fn exchange(&mut self, number: usize, change: &Change) -> Result<(), Stopped> {
        self.swap(number, change).map_err(stopped(&change.path))?;
        self.done.push(Done::Exchanged(number));
        self.check(number, change)
    }

    fn put(&mut self, number: usize, change: &Change) -> Result<(), Stopped> {
        let mut folder = PathBuf::new();
        let mut put = || {
            for name in parent_of(&change.path) {
                match self.folder(&folder)?.make(name, false) {
                    Ok(()) => self.done.push(Done::FolderMade(folder.join(name))),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
                folder.push(name);
            }
            let home = self.folder(&folder)?;
            self.own(number)?.move_to(&number_of(number), &home, name_of(&change.path))
        };
        match put() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(not_as_it_was(change))
            }
            put => {
                put.map_err(stopped(&change.path))?;
                self.done.push(Done::Put(number));
                Ok(())
            }
        }
    }

    /// Whether what came out is what was there.
    fn check(&self, number: usize, change: &Change) -> Result<(), Stopped> {
        let found = self.own(number).and_then(|own| own.look(&number_of(number)));
        let is_same = found.map_err(stopped(&change.path))? == change.before;
        if is_same { Ok(()) } else { Err(not_as_it_was(change)) }
    }

    fn swap(&self, number: usize, change: &Change) -> io::Result<()> {
        let home = self.folder(parent_of(&change.path))?;
        home.exchange(name_of(&change.path), &self.own(number)?, &number_of(number))
    }

    fn remove_emptied(&mut self, folder: &Path) {
        for folder in folder.ancestors().take_while(|it| !it.as_os_str().is_empty()) {
            let above = self.folder(parent_of(folder));
            if above.and_then(|above| above.remove_folder(name_of(folder))).is_err() {
                return;
            }
            self.done.push(Done::FolderRemoved(folder.to_owned()));
        }
    }

    /// Goes back over what was done, the last first, and goes on after an error. Returns which prepared files are kept.
    fn undo(&mut self, error: &mut Stopped) -> BTreeSet<usize> {
        let mut kept = BTreeSet::new();
        for done in std::mem::take(&mut self.done).into_iter().rev() {
            let number = match done {
                Done::Taken(number) | Done::Exchanged(number) | Done::Put(number) => number,
                Done::FolderMade(folder) => {
                    // Unless something else is in it by now.
                    let above = self.folder(parent_of(&folder));
                    drop(above.and_then(|above| above.remove_folder(name_of(&folder))));
                    continue;
                }
                Done::FolderRemoved(folder) => {
                    let above = self.folder(parent_of(&folder));
                    drop(above.and_then(|above| above.make(name_of(&folder), false)));
                    continue;
                }
            };
            let Some(change) = self.changes.get(number) else { continue };
            let undone = match done {
                Done::Taken(_) => self.give_back(number, change),
                Done::Exchanged(_) => self.swap_back(number, change),
                _ => self.take_out(number, change),
            };
            if !undone.unwrap_or(false) {
                let old = change.before.is_some();
                let old = old.then(|| self.top.join(self.place(number)));
                error.left.push((change.path.clone(), old));
                kept.insert(number);
            }
        }
        kept
    }

    fn give_back(&self, number: usize, change: &Change) -> io::Result<bool> {
        let home = self.folder(parent_of(&change.path))?;
        self.own(number)?.move_to(&number_of(number), &home, name_of(&change.path))?;
        Ok(true)
    }

    /// `false` if another program has written there since: then that stays.
    fn swap_back(&self, number: usize, change: &Change) -> io::Result<bool> {
        self.swap(number, change)?;
        let is_ours = self.is_staged(number)?;
        if !is_ours {
            self.swap(number, change)?;
        }
        Ok(is_ours)
    }

    fn take_out(&self, number: usize, change: &Change) -> io::Result<bool> {
        let (home, own) = (self.folder(parent_of(&change.path))?, self.own(number)?);
        let last = name_of(&change.path);
        home.move_to(last, &own, &number_of(number))?;
        let is_ours = self.is_staged(number)?;
        if !is_ours {
            own.move_to(&number_of(number), &home, last)?;
        }
        Ok(is_ours)
    }

    fn is_staged(&self, number: usize) -> io::Result<bool> {
        let found = self.own(number)?.look(&number_of(number))?;
        Ok(found.as_ref() == self.prepared.get(number).and_then(Option::as_ref))
    }

    /// Removes our folders, unless something in them is kept.
    fn clean(&self, kept: &BTreeSet<usize>) {
        let keeps: BTreeSet<_> =
            kept.iter().filter_map(|number| self.stages.get(*number)).collect();
        for above in self.made.iter().filter(|above| !keeps.contains(above)) {
            drop(std::fs::remove_dir_all(self.top.join(above).join(&self.name)));
        }
    }

    /// Where a file is prepared, below the top.
    fn place(&self, number: usize) -> PathBuf {
        let above = self.stages.get(number).cloned().unwrap_or_default();
        above.join(&self.name).join(number_of(number))
    }

    fn own(&self, number: usize) -> io::Result<Folder> {
        self.folder(parent_of(&self.place(number)))
    }

    fn folder(&self, path: &Path) -> io::Result<Folder> {
        below(self.top, path)
    }
}

/// A folder below the top, through no link.
pub(super) fn below(top: &Path, path: &Path) -> io::Result<Folder> {
    path.iter().try_fold(Folder::open(top)?, |folder, name| folder.below(name))
}

fn not_as_it_was(change: &Change) -> Stopped {
    Stopped { changed: vec![change.path.clone()], ..Stopped::default() }
}

fn stopped<E: Display>(path: &Path) -> impl FnOnce(E) -> Stopped {
    let path = path.to_owned();
    move |error| Stopped { reason: format!("`{}`: {error}", path.display()), ..Stopped::default() }
}

fn number_of(number: usize) -> OsString {
    number.to_string().into()
}

pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

pub(super) fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

//! A folder of the user's that is held open: what is done in it by a name reaches no other one, whatever is put in its
//! place meanwhile. Knows nothing of git.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// What is at a name: enough to tell whether it is still the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A file with content of this digest.
    File([u8; 32]),
    /// A link to this place.
    Link(PathBuf),
    /// A folder.
    Folder,
    /// Something else, such as a pipe.
    Other,
}

impl Found {
    fn of(mut file: File) -> io::Result<Self> {
        let (mut digest, mut part) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            match file.read(&mut part)? {
                0 => return Ok(Self::File(digest.finalize().into())),
                length => digest.update(part.get(..length).unwrap_or_default()),
            }
        }
    }
}

#[cfg(unix)]
mod system {
    use std::os::{fd::OwnedFd, unix::ffi::OsStrExt};

    use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawMode, RenameFlags};

    use super::{ErrorKind, File, Found, OsStr, Path, PathBuf, Write, io};

    /// A folder that is held open.
    #[derive(Debug)]
    pub(in crate::git::apply) struct Folder(OwnedFd);

    const FOLDER: OFlags =
        OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);
    /// Without `NONBLOCK` opening a pipe waits for its other end.
    const READ: OFlags =
        OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

    impl Folder {
        pub(in crate::git::apply) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self(fs::open(path, FOLDER, Mode::empty())?))
        }

        /// A folder in it. A link to one is none.
        pub(in crate::git::apply) fn below(&self, name: &OsStr) -> io::Result<Self> {
            Ok(Self(fs::openat(&self.0, name, FOLDER, Mode::empty())?))
        }

        pub(in crate::git::apply) fn make(&self, name: &OsStr, is_private: bool) -> io::Result<()> {
            let mode = if is_private { 0o700 } else { 0o777 };
            Ok(fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode))?)
        }

        /// Removes an empty folder in it.
        pub(in crate::git::apply) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
            Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
        }

        /// The file system that it is on.
        pub(in crate::git::apply) fn device(&self) -> io::Result<u64> {
            Ok(fs::fstat(&self.0)?.st_dev)
        }

        /// What is at a name, if anything is.
        pub(in crate::git::apply) fn look(&self, name: &OsStr) -> io::Result<Option<Found>> {
            let found = match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => found,
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(Some(match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => Found::of(self.read(name)?)?,
                FileType::Symlink => {
                    let place = fs::readlinkat(&self.0, name, Vec::new())?;
                    Found::Link(PathBuf::from(OsStr::from_bytes(place.as_bytes())))
                }
                FileType::Directory => Found::Folder,
                _ => Found::Other,
            }))
        }

        fn read(&self, name: &OsStr) -> io::Result<File> {
            Ok(File::from(fs::openat(&self.0, name, READ, Mode::empty())?))
        }

        /// Makes a file where nothing is.
        pub(in crate::git::apply) fn write(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
            self.create(name)?.write_all(content)
        }

        fn create(&self, name: &OsStr) -> io::Result<File> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let made = fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o600));
            Ok(File::from(made?))
        }

        /// Puts a copy of a file or link at a name where nothing is. A file that is to replace `like`, a file of that
        /// name in that folder, gets its permissions; `executes` says whether they change in that.
        pub(in crate::git::apply) fn copy_in(
            &self,
            name: &OsStr,
            from: &Path,
            like: Option<(&Self, &OsStr)>,
            executes: Option<bool>,
        ) -> io::Result<()> {
            let found = from.symlink_metadata()?;
            if found.is_symlink() {
                return Ok(fs::symlinkat(std::fs::read_link(from)?, &self.0, name)?);
            }
            let mut mode: RawMode = std::os::unix::fs::MetadataExt::mode(&found) & 0o777;
            if let Some((folder, like)) = like {
                let like = fs::statat(&folder.0, like, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(like.st_mode) == FileType::RegularFile {
                    mode = like.st_mode & 0o777;
                    match executes {
                        Some(true) => mode |= (mode & 0o444) >> 2,
                        Some(false) => mode &= !0o111,
                        None => {}
                    }
                }
            }
            let mut file = self.create(name)?;
            io::copy(&mut File::open(from)?, &mut file)?;
            Ok(fs::fchmod(&file, Mode::from_raw_mode(mode))?)
        }

        /// Moves what is at a name to another one, at which nothing may be.
        pub(in crate::git::apply) fn move_to(
            &self,
            name: &OsStr,
            other: &Self,
            to: &OsStr,
        ) -> io::Result<()> {
            match fs::renameat_with(&self.0, name, &other.0, to, RenameFlags::NOREPLACE) {
                Err(error) if is_unknown(error) => {
                    if fs::statat(&other.0, to, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                        return Err(ErrorKind::AlreadyExists.into());
                    }
                    Ok(fs::renameat(&self.0, name, &other.0, to)?)
                }
                moved => Ok(moved?),
            }
        }

        /// Exchanges what is at two names, in one instant where the file system can.
        pub(in crate::git::apply) fn exchange(
            &self,
            name: &OsStr,
            other: &Self,
            with: &OsStr,
        ) -> io::Result<()> {
            match fs::renameat_with(&self.0, name, &other.0, with, RenameFlags::EXCHANGE) {
                Err(error) if is_unknown(error) => self.exchange_in_steps(name, other, with),
                exchanged => Ok(exchanged?),
            }
        }
    }

    /// Whether the file system does not know that kind of renaming.
    fn is_unknown(error: rustix::io::Errno) -> bool {
        use rustix::io::Errno;

        [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP].contains(&error)
    }
}

#[cfg(not(unix))]
mod system {
    use super::{ErrorKind, File, Found, OsStr, Path, PathBuf, Write, io};

    /// A folder by its path: here nothing holds one open.
    #[derive(Debug)]
    pub(in crate::git::apply) struct Folder(PathBuf);

    impl Folder {
        pub(in crate::git::apply) fn open(path: &Path) -> io::Result<Self> {
            let is_folder = path.symlink_metadata()?.is_dir();
            if is_folder { Ok(Self(path.to_owned())) } else { Err(ErrorKind::NotADirectory.into()) }
        }

        pub(in crate::git::apply) fn below(&self, name: &OsStr) -> io::Result<Self> {
            Self::open(&self.0.join(name))
        }

        pub(in crate::git::apply) fn make(
            &self,
            name: &OsStr,
            _is_private: bool,
        ) -> io::Result<()> {
            std::fs::create_dir(self.0.join(name))
        }

        pub(in crate::git::apply) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
            std::fs::remove_dir(self.0.join(name))
        }

        #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
        pub(in crate::git::apply) fn device(&self) -> io::Result<u64> {
            Ok(0)
        }

        pub(in crate::git::apply) fn look(&self, name: &OsStr) -> io::Result<Option<Found>> {
            let path = self.0.join(name);
            let found = match path.symlink_metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                found => found?,
            };
            Ok(Some(if found.is_symlink() {
                Found::Link(std::fs::read_link(path)?)
            } else if found.is_file() {
                Found::of(File::open(path)?)?
            } else if found.is_dir() {
                Found::Folder
            } else {
                Found::Other
            }))
        }

        pub(in crate::git::apply) fn write(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
            File::create_new(self.0.join(name))?.write_all(content)
        }

        pub(in crate::git::apply) fn copy_in(
            &self,
            name: &OsStr,
            from: &Path,
            _like: Option<(&Self, &OsStr)>,
            _executes: Option<bool>,
        ) -> io::Result<()> {
            if from.symlink_metadata()?.is_symlink() {
                return std::os::windows::fs::symlink_file(
                    std::fs::read_link(from)?,
                    self.0.join(name),
                );
            }
            io::copy(&mut File::open(from)?, &mut File::create_new(self.0.join(name))?).map(drop)
        }

        pub(in crate::git::apply) fn move_to(
            &self,
            name: &OsStr,
            other: &Self,
            to: &OsStr,
        ) -> io::Result<()> {
            let to = other.0.join(to);
            if to.symlink_metadata().is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(self.0.join(name), to)
        }

        pub(in crate::git::apply) fn exchange(
            &self,
            name: &OsStr,
            other: &Self,
            with: &OsStr,
        ) -> io::Result<()> {
            self.exchange_in_steps(name, other, with)
        }
    }
}

pub(super) use system::Folder;

impl Folder {
    /// The same by three renames: for a moment nothing is at `name`.
    fn exchange_in_steps(&self, name: &OsStr, other: &Self, with: &OsStr) -> io::Result<()> {
        let mut aside = with.to_owned();
        aside.push("-aside");
        self.move_to(name, other, &aside)?;
        match other.move_to(with, self, name) {
            Ok(()) => other.move_to(&aside, other, with),
            Err(error) => {
                other.move_to(&aside, self, name)?;
                Err(error)
            }
        }
    }
}

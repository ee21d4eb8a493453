//! Folders and files that this user alone can look into, whatever the umask: every one of ours is made here.
//!
//! A folder or a file that belongs to another user, or is a link, is refused: its maker could read what is
//! written, or choose where that goes; so is a folder that others can write to. A folder above may be a link, because
//! people move their homes.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

/// Makes a folder of ours for this user alone, with those above it, or checks that it is one. If others could look into
/// it, they cannot any more.
///
/// # Errors
/// If it cannot be made, is a link or no folder, belongs to another user, or others could write to it.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    make_folder(folder)?;
    let found = fs::symlink_metadata(folder)?;
    if found.is_symlink() {
        return Err(refused(folder, "is a link"));
    }
    if !found.is_dir() {
        return Err(io::Error::from(ErrorKind::NotADirectory));
    }
    check_owner(folder, &found)?;
    if mode(&found).is_some_and(|mode| mode & 0o022 != 0) {
        return Err(refused(folder, "can be written to by others"));
    }
    close_to_others(folder, &found, 0o700)
}

/// Makes what is missing of a folder that is not ours, for this user alone. What is there stays as it is.
///
/// # Errors
/// If it cannot be made.
pub fn missing_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() { Ok(()) } else { make_folder(folder) }
}

/// Whether a folder is there, and only this user can look into it.
///
/// # Errors
/// If it cannot be looked at.
pub fn is_private(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    let is_open = mode(&found).is_some_and(|mode| mode & 0o077 != 0);
    Ok(found.is_dir() && is_ours(&found) && !is_open)
}

/// Makes a file for this user alone, to write to.
///
/// # Errors
/// If something is there already, or it cannot be made.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    private_options().write(true).create_new(true).open(path)
}

/// Opens a file for this user alone, to read it and to write at its end; makes it if there is none.
///
/// # Errors
/// If it cannot be opened, is a link or no plain file, or belongs to another user.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    // A pipe would wait for a reader.
    if let Ok(found) = fs::symlink_metadata(path)
        && !found.is_file()
    {
        return Err(refused(path, "is no plain file"));
    }
    let file = private_options().read(true).append(true).create(true).open(path)?;
    let found = file.metadata()?;
    check_owner(path, &found)?;
    #[cfg(unix)]
    if mode(&found).is_some_and(|mode| mode & 0o077 != 0) {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    Ok(file)
}

/// Writes a file for this user alone in place of what is there: all of it or nothing.
///
/// # Errors
/// If it cannot be written.
pub fn replace_private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
        // Never through a link that was laid there.
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits();
        options.custom_flags(i32::try_from(no_link).unwrap_or_default());
    }
    options
}

fn refused(path: &Path, what: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, format!("{} {what}", path.display()))
}

fn check_owner(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    if is_ours(found) { Ok(()) } else { Err(refused(path, "belongs to another user")) }
}

#[cfg(unix)]
fn is_ours(found: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(found) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(_: &fs::Metadata) -> bool {
    true
}

/// The rights of owner, group and others. `None` where there are no such.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn mode(found: &fs::Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::mode(found) & 0o777)
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn close_to_others(path: &Path, found: &fs::Metadata, rights: u32) -> io::Result<()> {
    if mode(found).is_some_and(|mode| mode & 0o077 != 0) {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(rights))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn close_to_others(_: &Path, _: &fs::Metadata, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn rights(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_and_those_above_it_are_for_this_user_alone() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b/c");
        private_folder(&inner).unwrap();
        for path in ["a", "a/b", "a/b/c"] {
            assert_eq!(rights(&root.path().join(path)), 0o700, "{path}");
        }
        assert!(is_private(&inner).unwrap());
        // One that is open is closed, as an earlier version left it.
        let open = |mode| fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();
        open(0o755);
        assert!(!is_private(&inner).unwrap());
        missing_folders(&inner).unwrap();
        assert_eq!(rights(&inner), 0o755, "what is not ours stays");
        private_folder(&inner).unwrap();
        assert_eq!(rights(&inner), 0o700);
        // What others could write to may have something of theirs in it.
        for mode in [0o777, 0o770, 0o702] {
            open(mode);
            assert!(private_folder(&inner).is_err(), "{mode:o}");
        }
        private_folder(Path::new("")).unwrap();
    }

    #[test]
    fn what_somebody_else_laid_there_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        fs::create_dir(&target).unwrap();
        symlink(&target, root.path().join("link")).unwrap();
        symlink(root.path().join("missing"), root.path().join("dangling")).unwrap();
        fs::write(root.path().join("file"), "x").unwrap();
        for name in ["link", "dangling", "file"] {
            assert!(private_folder(&root.path().join(name)).is_err(), "{name}");
        }
        // A link above is the user's own business.
        private_folder(&root.path().join("link/inner")).unwrap();
        for name in ["link", "dangling", "target"] {
            let path = root.path().join(name);
            assert!(open_private_file(&path).is_err(), "{name}");
            assert!(create_private_file(&path).is_err(), "{name}");
        }
        assert!(!root.path().join("missing").exists());
        // Only root owns this, so root cannot test it.
        if !rustix::process::geteuid().is_root() {
            assert!(private_folder(Path::new("/usr")).is_err());
        }
    }

    #[test]
    fn a_file_is_for_this_user_alone_also_one_that_was_open() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        open_private_file(&path).unwrap().write_all(b" two").unwrap();
        assert_eq!(
            (rights(&path), fs::read_to_string(&path).unwrap().as_str()),
            (0o600, "one two")
        );
        assert_eq!(create_private_file(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        create_private_file(&root.path().join("g")).unwrap();
        assert_eq!(rights(&root.path().join("g")), 0o600);
        symlink(&path, root.path().join("link")).unwrap();
        replace_private_file(&root.path().join("link"), b"three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one two", "what a link leads to stays");
        assert_eq!(rights(&root.path().join("link")), 0o600);
    }
}

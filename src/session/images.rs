//! Images that calls name: checked when the call comes, and copied when its turn begins.
//!
//! Codex reads an image by its path. A command of another turn can put a link in that place meanwhile, which leads to an
//! image that the caller may not see. So Codex gets copies, in a folder that no sandbox can write to.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    Limits, SessionError,
    paths::{AllowedPath, blocking, is_below},
};
use crate::system::{create_private_file, private_folder};

/// The first bytes of each image format that models can see.
const FORMATS: &[(&str, &[u8])] = &[
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("JPEG", b"\xff\xd8\xff"),
    ("GIF", b"GIF8"),
    ("WebP", b"RIFF"),
];

/// No turn with images takes longer.
const LONGEST_TURN: Duration = Duration::from_hours(7 * 24);

/// The images of a turn.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// What Codex is to read.
    pub(super) paths: Vec<PathBuf>,
    /// The copies, which are gone with it.
    pub(super) copies: Option<TempDir>,
}

/// Finds the images that a call names. Returns their canonical paths.
///
/// # Errors
/// [`SessionError::Image`], [`SessionError::TooManyImages`], [`SessionError::OutsideRoots`].
pub(super) async fn find(
    limits: &Limits,
    images: Vec<PathBuf>,
) -> Result<Vec<PathBuf>, SessionError> {
    let (count, limit) = (images.len(), limits.images);
    if count > limit {
        return Err(SessionError::TooManyImages { count, limit });
    }
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let limits = limits.clone();
    blocking(move || {
        let open = |path: &PathBuf| open(&limits, path).map(|(found, ..)| found.into());
        images.iter().map(open).collect()
    })
    .await
}

impl Images {
    /// Copies images into a folder below `folder`. Without one they stay where they are: where Codex runs as another user,
    /// and its rights decide.
    ///
    /// # Errors
    /// As for [`find`], or if they cannot be copied.
    pub(super) async fn copy(
        limits: &Limits,
        folder: Option<&Path>,
        images: &[PathBuf],
    ) -> Result<Self, SessionError> {
        let (limits, images) = (limits.clone(), images.to_vec());
        let Some(folder) = folder.map(Path::to_owned).filter(|_| !images.is_empty()) else {
            return Ok(Self { paths: find(&limits, images).await?, copies: None });
        };
        blocking(move || copy(&limits, &folder, &images)).await
    }
}

fn copy(limits: &Limits, folder: &Path, images: &[PathBuf]) -> Result<Images, SessionError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| SessionError::Image {
            path,
            reason: format!("it cannot be copied: {error}"),
        }
    };
    let made = private_folder(folder).and_then(|()| {
        remove_left(folder);
        TempDir::new_in(folder)
    });
    let copies = made.map_err(failed(folder))?;
    let mut paths = Vec::new();
    for (number, image) in images.iter().enumerate() {
        let (found, start, file) = open(limits, image)?;
        // Codex tells formats by the name.
        let name = found.extension().map_or_else(
            || number.to_string(),
            |end| format!("{number}.{}", end.to_string_lossy()),
        );
        let path = copies.path().join(name);
        let mut content = start.as_slice().chain(file).take(limits.image_bytes.saturating_add(1));
        let written = create_private_file(&path).and_then(|mut to| io::copy(&mut content, &mut to));
        let written = written.map_err(failed(image))?;
        if written > limits.image_bytes {
            return Err(too_large(image, written, limits.image_bytes));
        }
        paths.push(path);
    }
    Ok(Images { paths, copies: Some(copies) })
}

/// Removes what a server that was killed has left.
fn remove_left(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let made = entry.metadata().and_then(|it| it.modified());
        if made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > LONGEST_TURN)) {
            // Another server may do so at the same time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Opens an image, with the bytes that it begins with, which are read already.
fn open(limits: &Limits, path: &Path) -> Result<(AllowedPath, Vec<u8>, File), SessionError> {
    let failed = |reason: String| SessionError::Image { path: path.to_owned(), reason };
    let unreadable = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound => failed("it does not exist".to_owned()),
        _ => failed(error.to_string()),
    };
    let (found, metadata) = AllowedPath::find(&limits.roots, path, unreadable)?;
    // Checked before the file is opened, because opening a pipe waits for a writer.
    if !metadata.is_file() {
        return Err(failed("it is not a file".to_owned()));
    }
    let file = open_now(&found).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    let is_there = metadata.is_file()
        && place_of(&file, &found).is_some_and(|at| is_below(&limits.roots, &at));
    if !is_there {
        return Err(SessionError::Moved { path: found.into() });
    }
    if metadata.len() > limits.image_bytes {
        return Err(too_large(path, metadata.len(), limits.image_bytes));
    }
    let mut start = Vec::new();
    let read = (&file).take(12).read_to_end(&mut start);
    read.map_err(|error| unreadable(&error))?;
    let is_image = FORMATS.iter().any(|(_, magic)| start.starts_with(magic));
    if !is_image {
        let kinds: Vec<_> = FORMATS.iter().map(|(kind, _)| *kind).collect();
        return Err(failed(format!("it is none of {}", kinds.join(", "))));
    }
    Ok((found, start, file))
}

/// A pipe that was put there meanwhile is not waited for.
#[cfg(unix)]
fn open_now(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};

    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty()).map(File::from)?)
}

#[cfg(not(unix))]
fn open_now(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Where an open file is, whatever its path leads to by now.
#[cfg(target_os = "linux")]
fn place_of(file: &File, _: &AllowedPath) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;

    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

/// Where an open file is: at its path, if that is as it was found.
#[cfg(not(target_os = "linux"))]
fn place_of(_: &File, found: &AllowedPath) -> Option<PathBuf> {
    found.check_unchanged().is_ok().then(|| found.to_path_buf())
}

fn too_large(path: &Path, bytes: u64, limit: u64) -> SessionError {
    let reason = format!("it has {bytes} bytes, {limit} are allowed");
    SessionError::Image { path: path.to_owned(), reason }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";

    fn limits(root: &Path) -> Limits {
        let roots = vec![root.to_owned()];
        Limits { roots, images: 2, image_bytes: 100, ..Limits::default() }
    }

    #[tokio::test]
    async fn a_pipe_is_no_image_and_stops_nothing() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe.png");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let limits = limits(root.path());
        let refused = find(&limits, vec![pipe]).await.unwrap_err().to_string();
        assert!(refused.ends_with("it is not a file"), "{refused}");
        let refused = find(&limits, vec![PathBuf::from("a.png"); 3]).await;
        assert!(matches!(refused, Err(SessionError::TooManyImages { count: 3, limit: 2 })));
    }

    #[tokio::test]
    async fn codex_gets_a_copy_of_what_is_there_when_the_turn_begins() {
        let root = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();
        let (limits, folder) = (limits(root.path()), state.path().join("images"));
        let image = root.path().join("a.png");
        fs::write(&image, PNG).unwrap();
        let named = find(&limits, vec![image.clone()]).await.unwrap();
        // What was left long ago goes.
        let left = folder.join("left");
        fs::create_dir_all(&left).unwrap();
        let made = fs::metadata(&left).unwrap().modified().unwrap();
        File::open(&left).unwrap().set_modified(made - 2 * LONGEST_TURN).unwrap();
        let images = Images::copy(&limits, Some(&folder), &named).await.unwrap();
        assert!(!left.exists());
        let [copy] = images.paths.as_slice() else { panic!("{images:?}") };
        assert!(copy.starts_with(&folder) && copy.ends_with("0.png"), "{copy:?}");
        assert_eq!(fs::read(copy).unwrap(), PNG);
        assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o077, 0);
        drop(images);
        assert!(fs::read_dir(&folder).unwrap().next().is_none());
        // What a command puts in its place is seen.
        let secret = other.path().join("b.png");
        fs::write(&secret, PNG).unwrap();
        fs::remove_file(&image).unwrap();
        symlink(&secret, &image).unwrap();
        for folder in [Some(folder.as_path()), None] {
            let refused = Images::copy(&limits, folder, &named).await;
            assert!(matches!(refused, Err(SessionError::OutsideRoots { .. })), "{refused:?}");
        }
        // Also between the look and the opening.
        let file = File::open(&image).unwrap();
        let found = AllowedPath::find(&[], &secret, |error| panic!("{error}")).unwrap().0;
        #[cfg(target_os = "linux")]
        assert_eq!(place_of(&file, &found).unwrap(), secret.canonicalize().unwrap());
        drop((file, found));
        fs::remove_file(&image).unwrap();
        fs::write(&image, [PNG, &[0; 100]].concat()).unwrap();
        let refused = Images::copy(&limits, Some(&folder), &named).await.unwrap_err().to_string();
        assert!(refused.contains("100 are allowed"), "{refused}");
        assert!(fs::read_dir(&folder).unwrap().next().is_none());
    }
}
